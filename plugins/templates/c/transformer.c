// Masks attributes of spans and log records, and drops log records of severities that nobody reads.

#include "isinglass.h"
#include "plugin_info.h"
#include "transformer.h"

enum { KEY = 0, SEVERITY = 1, NAMES_MAX = 1000, REASONS_MAX = 255 };

typedef struct {
  slice_t all[NAMES_MAX];
  size_t count;
} names_t;

static names_t keys, drop_severities;

static bool is_among(const names_t *names, slice_t name) {
  for (size_t at = 0; at < names->count; at++) {
    if (name.len == names->all[at].len && memcmp(name.ptr, names->all[at].ptr, name.len) == 0) return true;
  }
  return false;
}

static void ask(isinglass_plugin_columns_column_request_t *request, uint8_t shape, uint16_t slot, const char *name, bool optional) {
  request->shape = shape;
  request->slot = slot;
  SET_TEXT(request->name, name);
  request->encoding = ISINGLASS_PLUGIN_COLUMNS_ENCODING_DICTIONARY;
  request->optional = optional;
}

void exports_isinglass_plugin_lifecycle_describe(exports_isinglass_plugin_lifecycle_plugin_info_t *ret) {
  SET_TEXT(ret->name, PLUGIN_NAME);
  SET_TEXT(ret->version, PLUGIN_VERSION);
  SET_TEXT(ret->config_schema, PLUGIN_CONFIG_SCHEMA);
  ret->requests.len = 3;
  ret->requests.ptr = room_for(3, sizeof *ret->requests.ptr);
  ask(&ret->requests.ptr[0], ISINGLASS_PLUGIN_COLUMNS_SHAPE_SPANS, KEY, "attr.key", false);
  ask(&ret->requests.ptr[1], ISINGLASS_PLUGIN_COLUMNS_SHAPE_LOGS, KEY, "attr.key", false);
  ask(&ret->requests.ptr[2], ISINGLASS_PLUGIN_COLUMNS_SHAPE_LOGS, SEVERITY, "severity", true);
}

// The text of the configuration is kept, because the names lie in it.
bool exports_isinglass_plugin_lifecycle_configure(transformer_string_t *text, transformer_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  while (config_next(&config)) {
    bool is_keys = slice_is(config.key, "keys");
    if (!is_keys && !slice_is(config.key, "drop_severities")) {
      SET_JOINED(*err, "unknown key ", config.key, "; known: keys, drop_severities");
      return false;
    }
    names_t *names = is_keys ? &keys : &drop_severities;
    config_texts(&config, names->all, NAMES_MAX, &names->count);
  }
  if (config.failed) SET_TEXT(*err, "keys and drop_severities must be lists of at most 1000 texts");
  return !config.failed;
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

// Keys belong to entries of rows, and so does what is changed. Values are JSON text.
static void mask(const isinglass_plugin_columns_dictionary_column_t *key, exports_isinglass_plugin_transform_edits_t *ret) {
  static const char masked[] = "\"***\"";
  size_t distinct = key->offsets.len - 1, count = 0;
  uint8_t *is_masked = room_for(distinct, 1);
  for (size_t at = 0; at < distinct; at++) is_masked[at] = is_among(&keys, VALUE_OF(*key, at));
  for (size_t entry = 0; entry < key->keys.len; entry++) count += is_masked[key->keys.ptr[entry]];
  if (count > 0) {
    ret->pairs.len = 1;
    ret->pairs.ptr = room_for(1, sizeof *ret->pairs.ptr);
    ret->pairs.ptr->of = EXPORTS_ISINGLASS_PLUGIN_TRANSFORM_PAIRS_ATTRIBUTES;
    exports_isinglass_plugin_transform_texts_t *changed = &ret->pairs.ptr->changed;
    // Each of them gets the first of the texts, which is the only one.
    changed->at.ptr = room_for(count, sizeof *changed->at.ptr);
    changed->keys.ptr = room_for(count, sizeof *changed->keys.ptr);
    changed->keys.len = count;
    for (size_t entry = 0; entry < key->keys.len; entry++) {
      if (is_masked[key->keys.ptr[entry]]) changed->at.ptr[changed->at.len++] = (uint32_t)entry;
    }
    changed->values.offsets.len = 2;
    changed->values.offsets.ptr = room_for(2, sizeof *changed->values.offsets.ptr);
    changed->values.offsets.ptr[1] = sizeof masked - 1;
    changed->values.data.len = sizeof masked - 1;
    changed->values.data.ptr = copy_of(masked, sizeof masked - 1);
  }
  free(is_masked);
}

static void drop(const isinglass_plugin_columns_column_t *column, uint32_t rows, exports_isinglass_plugin_transform_edits_t *ret) {
  const isinglass_plugin_columns_dictionary_column_t *severity = &column->data.val.dictionary;
  size_t distinct = severity->offsets.len - 1;
  uint8_t *reason_of = room_for(distinct, 1);
  ret->reasons.ptr = room_for(REASONS_MAX, sizeof *ret->reasons.ptr);
  for (size_t at = 0; at < distinct; at++) {
    slice_t name = VALUE_OF(*severity, at);
    if (!is_among(&drop_severities, name)) continue;
    // One byte points to a reason: the last stands for all that come after.
    if (ret->reasons.len < REASONS_MAX) {
      exports_isinglass_plugin_transform_reason_t *reason = &ret->reasons.ptr[ret->reasons.len++];
      SET_TEXT(reason->code, "severity");
      SET_JOINED(reason->message, "nobody reads ", name, "");
    }
    reason_of[at] = (uint8_t)ret->reasons.len;
  }
  if (ret->reasons.len > 0) {
    ret->drops.len = rows;
    ret->drops.ptr = room_for(rows, 1);
    for (size_t row = 0; row < rows; row++) {
      if (is_valid(column, row)) ret->drops.ptr[row] = reason_of[severity->keys.ptr[row]];
    }
  } else {
    free(ret->reasons.ptr);
  }
  free(reason_of);
}

void exports_isinglass_plugin_transform_run(exports_isinglass_plugin_transform_batch_t *batch,
                                            exports_isinglass_plugin_transform_edits_t *ret) {
  memset(ret, 0, sizeof *ret);
  const isinglass_plugin_columns_column_t *severity = column_of(batch, SEVERITY);
  mask(&column_of(batch, KEY)->data.val.dictionary, ret);
  if (severity != NULL) drop(severity, batch->rows, ret);
  exports_isinglass_plugin_transform_batch_free(batch);
}
