// Counts calls between services: a client's span and the server's span below it, in whatever order
// and requests they come. The host keeps a span until the other side of its call is there.

#include "pairing_deriver.h"
#include "isinglass.h"
#include "plugin_info.h"

enum { SERVICE, KIND, TRACE_ID, SPAN_ID, PARENT, DURATION, COLUMNS };
enum { CALLS, UNPAIRED, SECONDS, METRICS };
enum { FIRST = 0, SECOND = 1, NEITHER = 2 };

static const double bounds[] = {0.01, 0.1, 1};
static uint32_t wait_ms = 10000;

void exports_isinglass_plugin_lifecycle_describe(exports_isinglass_plugin_lifecycle_plugin_info_t *ret) {
  static const char *const names[COLUMNS] = {"service", "kind", "trace_id", "span_id", "parent_span_id", "duration"};
  SET_TEXT(ret->name, PLUGIN_NAME);
  SET_TEXT(ret->version, PLUGIN_VERSION);
  SET_TEXT(ret->config_schema, PLUGIN_CONFIG_SCHEMA);
  ret->requests.len = COLUMNS;
  ret->requests.ptr = room_for(COLUMNS, sizeof *ret->requests.ptr);
  for (uint16_t slot = 0; slot < COLUMNS; slot++) {
    isinglass_plugin_columns_column_request_t *request = &ret->requests.ptr[slot];
    bool text = slot == SERVICE || slot == KIND;
    request->shape = ISINGLASS_PLUGIN_COLUMNS_SHAPE_SPANS;
    request->slot = slot;
    SET_TEXT(request->name, names[slot]);
    request->encoding = text ? ISINGLASS_PLUGIN_COLUMNS_ENCODING_DICTIONARY : ISINGLASS_PLUGIN_COLUMNS_ENCODING_VALUES;
    request->optional = slot == PARENT;
  }
}

bool exports_isinglass_plugin_lifecycle_configure(pairing_deriver_string_t *text, pairing_deriver_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  double wait = 10000;
  while (config_next(&config)) {
    if (!slice_is(config.key, "wait_ms")) {
      SET_JOINED(*err, "unknown key ", config.key, "; known: wait_ms");
      pairing_deriver_string_free(text);
      return false;
    }
    config_number(&config, &wait);
  }
  pairing_deriver_string_free(text);
  if (!config.failed && wait >= 1 && wait <= 600000) {
    wait_ms = (uint32_t)wait;
    return true;
  }
  SET_TEXT(*err, "wait_ms must be 1 to 600000");
  return false;
}

static void declare(exports_isinglass_plugin_derive_pairs_metric_t *metric, uint8_t kind, const char *name,
                    const char *help) {
  SET_TEXT(metric->name, name);
  SET_TEXT(metric->help, help);
  metric->kind = kind;
  metric->classic = kind == EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_METRIC_KIND_HISTOGRAM;
  if (!metric->classic) return;
  SET_TEXT(metric->unit, "s");
  metric->bounds.len = sizeof bounds / sizeof *bounds;
  metric->bounds.ptr = (double *)copy_of(bounds, sizeof bounds);
}

void exports_isinglass_plugin_derive_pairs_declare(exports_isinglass_plugin_derive_pairs_declaration_t *ret) {
  memset(ret, 0, sizeof *ret);
  ret->metrics.len = METRICS;
  ret->metrics.ptr = room_for(METRICS, sizeof *ret->metrics.ptr);
  uint8_t counter = EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_METRIC_KIND_COUNTER;
  uint8_t histogram = EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_METRIC_KIND_HISTOGRAM;
  declare(&ret->metrics.ptr[CALLS], counter, "service_calls_total", "Calls.");
  declare(&ret->metrics.ptr[UNPAIRED], counter, "service_calls_unpaired_total", "Spans whose other side did not come.");
  declare(&ret->metrics.ptr[SECONDS], histogram, "service_call_seconds", "Their duration at the server.");

  static const uint8_t rules[METRICS] = {
      EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_RULE_PAIRS,
      EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_RULE_UNPAIRED,
      EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_RULE_SECOND_VALUE,
  };
  exports_isinglass_plugin_derive_pairs_pairing_t *pairing = &ret->pairing.val;
  ret->pairing.is_some = true;
  pairing->wait_ms = wait_ms;
  pairing->pending_max = 10000;
  pairing->exemplars = true;
  pairing->additions.len = METRICS;
  pairing->additions.ptr = room_for(METRICS, sizeof *pairing->additions.ptr);
  for (uint16_t metric = 0; metric < METRICS; metric++) {
    pairing->additions.ptr[metric].metric = metric;
    pairing->additions.ptr[metric].rule = rules[metric];
  }
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

// What the spans of each distinct kind are.
static uint8_t *sides_of(const isinglass_plugin_columns_dictionary_column_t *kinds) {
  size_t distinct = kinds->offsets.len - 1;
  uint8_t *sides = room_for(distinct, 1);
  for (size_t at = 0; at < distinct; at++) {
    slice_t kind = VALUE_OF(*kinds, at);
    sides[at] = slice_is(kind, "client") ? FIRST : slice_is(kind, "server") ? SECOND : NEITHER;
  }
  return sides;
}

// A label that the sets from `from` on have, one for each service; the text behind all services
// stands for none.
static void set_label(exports_isinglass_plugin_derive_pairs_label_t *label, const char *name, uint32_t from,
                      const isinglass_plugin_columns_dictionary_column_t *services) {
  uint32_t distinct = (uint32_t)services->offsets.len - 1;
  SET_TEXT(label->name, name);
  label->keys.len = 2 * distinct;
  label->keys.ptr = room_for(label->keys.len, sizeof *label->keys.ptr);
  for (uint32_t set = 0; set < 2 * distinct; set++) {
    label->keys.ptr[set] = set >= from && set < from + distinct ? set - from : distinct;
  }
  label->values.tag = EXPORTS_ISINGLASS_PLUGIN_DERIVE_PAIRS_LABEL_VALUES_OWN;
  exports_isinglass_plugin_derive_pairs_text_column_t *own = &label->values.val.own;
  own->offsets.len = distinct + 2;
  own->offsets.ptr = room_for(own->offsets.len, sizeof *own->offsets.ptr);
  memcpy(own->offsets.ptr, services->offsets.ptr, (distinct + 1) * sizeof *own->offsets.ptr);
  own->offsets.ptr[distinct + 1] = own->offsets.ptr[distinct];
  own->data.len = services->data.len;
  if (services->data.len > 0) own->data.ptr = copy_of(services->data.ptr, services->data.len);
}

void exports_isinglass_plugin_derive_pairs_run(exports_isinglass_plugin_derive_pairs_batch_t *batch,
                                               exports_isinglass_plugin_derive_pairs_derived_t *ret) {
  memset(ret, 0, sizeof *ret);
  const isinglass_plugin_columns_dictionary_column_t *services = &column_of(batch, SERVICE)->data.val.dictionary;
  const isinglass_plugin_columns_dictionary_column_t *kinds = &column_of(batch, KIND)->data.val.dictionary;
  const uint8_t *trace_ids = column_of(batch, TRACE_ID)->data.val.fixed.data.ptr;
  const uint8_t *span_ids = column_of(batch, SPAN_ID)->data.val.fixed.data.ptr;
  const isinglass_plugin_columns_column_t *parent = column_of(batch, PARENT);
  const int64_t *durations = column_of(batch, DURATION)->data.val.numbers_s64.ptr;
  uint32_t distinct = (uint32_t)services->offsets.len - 1;
  uint8_t *sides = sides_of(kinds);

  exports_isinglass_plugin_derive_pairs_halves_t *halves = &ret->halves;
  halves->rows.ptr = room_for(batch->rows, sizeof *halves->rows.ptr);
  halves->keys.ptr = room_for(batch->rows, 24);
  halves->flags.ptr = room_for(batch->rows, 1);
  halves->values.ptr = room_for(batch->rows, sizeof *halves->values.ptr);
  halves->sets.ptr = room_for(batch->rows, sizeof *halves->sets.ptr);
  size_t count = 0;
  for (uint32_t row = 0; row < batch->rows; row++) {
    uint8_t side = sides[kinds->keys.ptr[row]];
    if (side == NEITHER || (side == SECOND && (parent == NULL || !is_valid(parent, row)))) continue;
    // The two sides of a call have the id of the client's span in common.
    const uint8_t *call = side == SECOND ? parent->data.val.fixed.data.ptr : span_ids;
    memcpy(halves->keys.ptr + 24 * count, trace_ids + 16 * (size_t)row, 16);
    memcpy(halves->keys.ptr + 24 * count + 16, call + 8 * (size_t)row, 8);
    halves->rows.ptr[count] = row;
    halves->flags.ptr[count] = side;
    halves->values.ptr[count] = durations[row] > 0 ? (double)durations[row] / 1e9 : 0;
    halves->sets.ptr[count] = services->keys.ptr[row] + (side == SECOND ? distinct : 0);
    count++;
  }
  halves->rows.len = halves->flags.len = halves->values.len = halves->sets.len = count;
  halves->keys.len = 24 * count;

  halves->set_count = 2 * distinct;
  halves->labels.len = 2;
  halves->labels.ptr = room_for(2, sizeof *halves->labels.ptr);
  set_label(&halves->labels.ptr[0], "client", 0, services);
  set_label(&halves->labels.ptr[1], "server", distinct, services);
  free(sides);
  exports_isinglass_plugin_derive_pairs_batch_free(batch);
}
