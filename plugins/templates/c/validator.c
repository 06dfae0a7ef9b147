// Refuses the spans and log records of services that are not wanted.

#include "isinglass.h"
#include "plugin_info.h"
#include "validator.h"

enum { SERVICE = 0, SERVICES_MAX = 1000, REASONS_MAX = 255 };

static slice_t services[SERVICES_MAX];
static size_t service_count;

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

// The text of the configuration is kept, because the names of services lie in it.
bool exports_isinglass_plugin_lifecycle_configure(validator_string_t *text, validator_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  while (config_next(&config)) {
    if (!slice_is(config.key, "services")) {
      SET_JOINED(*err, "unknown key ", config.key, "; known: services");
      return false;
    }
    config_texts(&config, services, SERVICES_MAX, &service_count);
  }
  if (config.failed) SET_TEXT(*err, "services must be a list of at most 1000 texts");
  return !config.failed;
}

static bool is_denied(slice_t service) {
  for (size_t at = 0; at < service_count; at++) {
    if (service.len == services[at].len && memcmp(service.ptr, services[at].ptr, service.len) == 0) return true;
  }
  return false;
}

void exports_isinglass_plugin_validate_run(exports_isinglass_plugin_validate_batch_t *batch,
                                           exports_isinglass_plugin_validate_verdicts_t *ret) {
  // It asked for one column, which is not optional.
  const isinglass_plugin_columns_column_t *column = &batch->columns.ptr[0];
  const isinglass_plugin_columns_dictionary_column_t *service = &column->data.val.dictionary;
  size_t distinct = service->offsets.len - 1;
  uint8_t *verdicts = room_for(distinct, 1);
  memset(ret, 0, sizeof *ret);
  ret->reasons.ptr = room_for(REASONS_MAX, sizeof *ret->reasons.ptr);
  for (size_t at = 0; at < distinct; at++) {
    slice_t name = VALUE_OF(*service, at);
    if (!is_denied(name)) continue;
    // One byte points to a reason: the last stands for all that come after.
    if (ret->reasons.len < REASONS_MAX) {
      exports_isinglass_plugin_validate_reason_t *reason = &ret->reasons.ptr[ret->reasons.len++];
      SET_TEXT(reason->code, "service_denied");
      SET_JOINED(reason->message, "service ", name, " is not wanted");
    }
    verdicts[at] = (uint8_t)ret->reasons.len;
  }
  if (ret->reasons.len > 0) {
    ret->rows.len = batch->rows;
    ret->rows.ptr = room_for(batch->rows, 1);
    for (size_t row = 0; row < batch->rows; row++) ret->rows.ptr[row] = verdicts[service->keys.ptr[row]];
  } else {
    free(ret->reasons.ptr);
  }
  free(verdicts);
  exports_isinglass_plugin_validate_batch_free(batch);
}
