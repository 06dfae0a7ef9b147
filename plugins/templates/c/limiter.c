// Gives every service a token bucket of its own; a span or log record costs 1.

#include "isinglass.h"
#include "limiter.h"
#include "plugin_info.h"

enum { SERVICE = 0 };

static double items_per_second, burst;

void exports_isinglass_plugin_lifecycle_describe(exports_isinglass_plugin_lifecycle_plugin_info_t *ret) {
  static const uint8_t shapes[] = {ISINGLASS_PLUGIN_COLUMNS_SHAPE_LOGS, ISINGLASS_PLUGIN_COLUMNS_SHAPE_SPANS};
  SET_TEXT(ret->name, PLUGIN_NAME);
  SET_TEXT(ret->version, PLUGIN_VERSION);
  SET_TEXT(ret->config_schema, PLUGIN_CONFIG_SCHEMA);
  ret->requests.len = 2;
  ret->requests.ptr = room_for(2, sizeof *ret->requests.ptr);
  for (size_t at = 0; at < 2; at++) {
    isinglass_plugin_columns_column_request_t *request = &ret->requests.ptr[at];
    request->shape = shapes[at];
    request->slot = SERVICE;
    SET_TEXT(request->name, "service");
    request->encoding = ISINGLASS_PLUGIN_COLUMNS_ENCODING_DICTIONARY;
  }
}

bool exports_isinglass_plugin_lifecycle_configure(limiter_string_t *text, limiter_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  while (config_next(&config)) {
    if (slice_is(config.key, "items_per_second")) {
      config_number(&config, &items_per_second);
    } else if (slice_is(config.key, "burst")) {
      config_number(&config, &burst);
    } else {
      SET_JOINED(*err, "unknown key ", config.key, "; known: items_per_second, burst");
      limiter_string_free(text);
      return false;
    }
  }
  limiter_string_free(text);
  if (!config.failed && items_per_second > 0 && burst > 0) return true;
  SET_TEXT(*err, "items_per_second and burst must be numbers above 0");
  return false;
}

void exports_isinglass_plugin_limit_admit(exports_isinglass_plugin_limit_signal_t signal, uint64_t wire_bytes,
                                          exports_isinglass_plugin_limit_plan_t *ret) {
  (void)signal, (void)wire_bytes;
  memset(ret, 0, sizeof *ret);
}

void exports_isinglass_plugin_limit_run(exports_isinglass_plugin_limit_batch_t *batch,
                                        exports_isinglass_plugin_limit_plan_t *ret) {
  memset(ret, 0, sizeof *ret);
  // A limiter is shown batches of metrics too, without a column.
  if (batch->columns.len > 0) {
    const isinglass_plugin_columns_dictionary_column_t *service = &batch->columns.ptr[0].data.val.dictionary;
    size_t distinct = service->offsets.len - 1;
    double *rows = room_for(distinct, sizeof *rows);
    for (size_t row = 0; row < batch->rows; row++) rows[service->keys.ptr[row]] += 1;

    ret->buckets.ptr = room_for(distinct, sizeof *ret->buckets.ptr);
    ret->bucket_of_cost.ptr = room_for(distinct, sizeof *ret->bucket_of_cost.ptr);
    ret->cost.ptr = room_for(distinct, sizeof *ret->cost.ptr);
    size_t used = 0;
    for (size_t at = 0; at < distinct; at++) {
      if (rows[at] == 0) continue;
      slice_t name = VALUE_OF(*service, at);
      SET_JOINED(ret->buckets.ptr[used].key, "service/", name, "");
      ret->buckets.ptr[used].rate_per_second = items_per_second;
      ret->buckets.ptr[used].burst = burst;
      ret->bucket_of_cost.ptr[used] = (uint32_t)used;
      ret->cost.ptr[used] = rows[at];
      used++;
    }
    ret->buckets.len = ret->bucket_of_cost.len = ret->cost.len = used;
    free(rows);
  }
  exports_isinglass_plugin_limit_batch_free(batch);
}
