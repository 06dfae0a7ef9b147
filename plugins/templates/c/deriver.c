// Counts log records by service and severity.

#include "deriver.h"
#include "isinglass.h"
#include "plugin_info.h"

enum { SERVICE = 0, SEVERITY = 1 };

static slice_t metric = {(const uint8_t *)"log_records_total", 17};

static void ask(isinglass_plugin_columns_column_request_t *request, uint16_t slot, const char *name, bool optional) {
  request->shape = ISINGLASS_PLUGIN_COLUMNS_SHAPE_LOGS;
  request->slot = slot;
  SET_TEXT(request->name, name);
  request->encoding = ISINGLASS_PLUGIN_COLUMNS_ENCODING_DICTIONARY;
  request->optional = optional;
}

void exports_isinglass_plugin_lifecycle_describe(exports_isinglass_plugin_lifecycle_plugin_info_t *ret) {
  SET_TEXT(ret->name, PLUGIN_NAME);
  SET_TEXT(ret->version, PLUGIN_VERSION);
  SET_TEXT(ret->config_schema, PLUGIN_CONFIG_SCHEMA);
  ret->requests.len = 2;
  ret->requests.ptr = room_for(2, sizeof *ret->requests.ptr);
  ask(&ret->requests.ptr[0], SERVICE, "service", false);
  ask(&ret->requests.ptr[1], SEVERITY, "severity", true);
}

// The text of the configuration is kept, because the name of the metric lies in it.
bool exports_isinglass_plugin_lifecycle_configure(deriver_string_t *text, deriver_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  while (config_next(&config)) {
    if (!slice_is(config.key, "metric")) {
      SET_JOINED(*err, "unknown key ", config.key, "; known: metric");
      return false;
    }
    config_text(&config, &metric);
  }
  if (config.failed) SET_TEXT(*err, "metric must be text");
  return !config.failed;
}

void exports_isinglass_plugin_derive_metrics(exports_isinglass_plugin_derive_list_metric_t *ret) {
  ret->len = 1;
  ret->ptr = room_for(1, sizeof *ret->ptr);
  SET_JOINED(ret->ptr->name, "", metric, "");
  ret->ptr->kind = EXPORTS_ISINGLASS_PLUGIN_DERIVE_METRIC_KIND_COUNTER;
  SET_TEXT(ret->ptr->help, "Log records.");
}

static const isinglass_plugin_columns_column_t *column_of(const isinglass_plugin_columns_batch_t *batch, uint16_t slot) {
  for (size_t at = 0; at < batch->columns.len; at++) {
    if (batch->columns.ptr[at].slot == slot) return &batch->columns.ptr[at];
  }
  return NULL;
}

static bool is_valid(const isinglass_plugin_columns_column_t *column, size_t row) {
  return !column->validity.is_some || (column->validity.val.ptr[row / 8] >> (row % 8) & 1);
}

// The distinct severities, and an empty one behind them for rows without.
static void own_severities(const isinglass_plugin_columns_column_t *severity,
                           exports_isinglass_plugin_derive_text_column_t *to) {
  const isinglass_plugin_columns_dictionary_column_t *from = severity ? &severity->data.val.dictionary : NULL;
  size_t distinct = from ? from->offsets.len - 1 : 0;
  to->offsets.len = distinct + 2;
  to->offsets.ptr = room_for(distinct + 2, sizeof *to->offsets.ptr);
  if (from) {
    memcpy(to->offsets.ptr, from->offsets.ptr, (distinct + 1) * sizeof *to->offsets.ptr);
    to->data.len = from->data.len;
    if (from->data.len > 0) to->data.ptr = copy_of(from->data.ptr, from->data.len);
  }
  to->offsets.ptr[distinct + 1] = to->offsets.ptr[distinct];
}

void exports_isinglass_plugin_derive_run(exports_isinglass_plugin_derive_batch_t *batch,
                                         exports_isinglass_plugin_derive_deltas_t *ret) {
  memset(ret, 0, sizeof *ret);
  const isinglass_plugin_columns_column_t *severity = column_of(batch, SEVERITY);
  const isinglass_plugin_columns_dictionary_column_t *services = &column_of(batch, SERVICE)->data.val.dictionary;
  const isinglass_plugin_columns_dictionary_column_t *levels = severity ? &severity->data.val.dictionary : NULL;
  // The severity behind all others stands for none.
  size_t none = levels ? levels->offsets.len - 1 : 0, width = none + 1;
  size_t groups = (services->offsets.len - 1) * width;
  double *counts = room_for(groups, sizeof *counts);
  for (size_t row = 0; row < batch->rows; row++) {
    size_t level = levels && is_valid(severity, row) ? levels->keys.ptr[row] : none;
    counts[services->keys.ptr[row] * width + level] += 1;
  }

  ret->labels.len = 2;
  ret->labels.ptr = room_for(2, sizeof *ret->labels.ptr);
  exports_isinglass_plugin_derive_label_t *service = &ret->labels.ptr[0], *level = &ret->labels.ptr[1];
  SET_TEXT(service->name, "service");
  service->keys.ptr = room_for(groups, sizeof *service->keys.ptr);
  service->values.tag = EXPORTS_ISINGLASS_PLUGIN_DERIVE_LABEL_VALUES_INPUT;
  service->values.val.input = SERVICE;
  SET_TEXT(level->name, "severity");
  level->keys.ptr = room_for(groups, sizeof *level->keys.ptr);
  level->values.tag = EXPORTS_ISINGLASS_PLUGIN_DERIVE_LABEL_VALUES_OWN;
  own_severities(severity, &level->values.val.own);

  ret->increments.len = 1;
  ret->increments.ptr = room_for(1, sizeof *ret->increments.ptr);
  double *values = room_for(groups, sizeof *values);
  for (size_t group = 0; group < groups; group++) {
    if (counts[group] == 0) continue;
    service->keys.ptr[ret->series] = (uint32_t)(group / width);
    level->keys.ptr[ret->series] = (uint32_t)(group % width);
    values[ret->series++] = counts[group];
  }
  service->keys.len = level->keys.len = ret->series;
  ret->increments.ptr->values.ptr = values;
  ret->increments.ptr->values.len = ret->series;
  free(counts);
  exports_isinglass_plugin_derive_batch_free(batch);
}
