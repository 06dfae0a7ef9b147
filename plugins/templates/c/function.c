// Functions for SQL and PromQL: the nearest multiple of a step, and a harmonic mean.

#include "function.h"
#include "isinglass.h"
#include "plugin_info.h"

// They are called by their place in this list.
enum { NEAREST_STEP = 0, HARMONIC_MEAN = 1, COUNT = 2 };

static double step = 1;

// What is known of a group: how many values, and the sum of their reciprocals. As a byte string it
// is these two; the one of a group without values is empty.
typedef struct {
  double count;
  double reciprocals;
} harmonic_t;

void exports_isinglass_plugin_lifecycle_describe(exports_isinglass_plugin_lifecycle_plugin_info_t *ret) {
  // Arguments are handed over; nothing is read of batches.
  ret->requests.len = 0;
  SET_TEXT(ret->name, PLUGIN_NAME);
  SET_TEXT(ret->version, PLUGIN_VERSION);
  SET_TEXT(ret->config_schema, PLUGIN_CONFIG_SCHEMA);
}

bool exports_isinglass_plugin_lifecycle_configure(function_string_t *text, function_string_t *err) {
  config_t config = config_of(text->ptr, text->len);
  while (config_next(&config)) {
    if (!slice_is(config.key, "step")) {
      SET_JOINED(*err, "unknown key ", config.key, "; known: step");
      return false;
    }
    config_number(&config, &step);
  }
  bool good = !config.failed && step > 0;
  if (!good) SET_TEXT(*err, "step must be a number above 0");
  function_string_free(text);
  return good;
}

static void declare(exports_isinglass_plugin_compute_signature_t *signature, const char *name, uint8_t kind, const char *help) {
  SET_TEXT(signature->name, name);
  SET_TEXT(signature->help, help);
  signature->kind = kind;
  signature->arguments.len = 1;
  signature->arguments.ptr = room_for(1, sizeof *signature->arguments.ptr);
  signature->arguments.ptr[0] = EXPORTS_ISINGLASS_PLUGIN_COMPUTE_VALUE_TYPE_FLOAT64;
  signature->returns = EXPORTS_ISINGLASS_PLUGIN_COMPUTE_VALUE_TYPE_FLOAT64;
  signature->volatility = EXPORTS_ISINGLASS_PLUGIN_COMPUTE_VOLATILITY_IMMUTABLE;
}

void exports_isinglass_plugin_compute_functions(exports_isinglass_plugin_compute_list_signature_t *ret) {
  ret->len = COUNT;
  ret->ptr = room_for(COUNT, sizeof *ret->ptr);
  declare(&ret->ptr[NEAREST_STEP], "nearest_step", EXPORTS_ISINGLASS_PLUGIN_COMPUTE_KIND_SCALAR,
          "The nearest multiple of the configured step.");
  declare(&ret->ptr[HARMONIC_MEAN], "harmonic_mean", EXPORTS_ISINGLASS_PLUGIN_COMPUTE_KIND_AGGREGATE,
          "Harmonic mean of positive values.");
}

static bool is_valid(const isinglass_plugin_columns_column_t *column, size_t row) {
  return !column->validity.is_some || (column->validity.val.ptr[row / 8] >> (row % 8) & 1);
}

// A column of floats for an answer.
static double *floats(exports_isinglass_plugin_compute_column_t *ret, size_t rows) {
  memset(ret, 0, sizeof *ret);
  ret->data.tag = ISINGLASS_PLUGIN_COLUMNS_COLUMN_DATA_NUMBERS_F64;
  ret->data.val.numbers_f64.len = rows;
  return ret->data.val.numbers_f64.ptr = room_for(rows, sizeof(double));
}

bool exports_isinglass_plugin_compute_call(uint16_t function, uint32_t rows,
                                           exports_isinglass_plugin_compute_list_column_t *arguments,
                                           exports_isinglass_plugin_compute_column_t *ret,
                                           exports_isinglass_plugin_compute_fault_t *err) {
  if (function != NEAREST_STEP) {
    err->row.is_some = false;
    SET_TEXT(err->message, "no scalar function");
    return false;
  }
  isinglass_plugin_columns_column_t *argument = &arguments->ptr[0];
  const double *values = argument->data.val.numbers_f64.ptr;
  double *nearest = floats(ret, rows);
  for (size_t row = 0; row < rows; row++) nearest[row] = __builtin_floor(values[row] / step + 0.5) * step;
  // Where there is no argument there is no value: the bits change hands.
  ret->validity = argument->validity;
  argument->validity.is_some = false;
  exports_isinglass_plugin_compute_list_column_free(arguments);
  return true;
}

// The group of a row or state; no numbers stand for one group.
static size_t group_of(const function_list_u32_t *groups, size_t at) {
  return groups->len > 0 ? groups->ptr[at] : 0;
}

// Groups as byte strings, for an answer.
static void write_all(const harmonic_t *all, size_t groups, exports_isinglass_plugin_compute_text_column_t *ret) {
  memset(ret, 0, sizeof *ret);
  ret->offsets.len = groups + 1;
  ret->offsets.ptr = room_for(groups + 1, sizeof *ret->offsets.ptr);
  ret->data.ptr = room_for(groups, sizeof *all);
  for (size_t group = 0; group < groups; group++) {
    if (all[group].count > 0) {
      memcpy(ret->data.ptr + ret->data.len, &all[group], sizeof *all);
      ret->data.len += sizeof *all;
    }
    ret->offsets.ptr[group + 1] = (int32_t)ret->data.len;
  }
  if (ret->data.len == 0) free(ret->data.ptr);
}

static harmonic_t read_one(const exports_isinglass_plugin_compute_text_column_t *states, size_t at) {
  harmonic_t state = {0, 0};
  slice_t bytes = VALUE_OF(*states, at);
  if (bytes.len == sizeof state) memcpy(&state, bytes.ptr, sizeof state);
  return state;
}

bool exports_isinglass_plugin_compute_accumulate(uint16_t function, uint32_t groups, function_list_u32_t *group_of_row,
                                                 uint32_t rows, exports_isinglass_plugin_compute_list_column_t *arguments,
                                                 exports_isinglass_plugin_compute_text_column_t *ret,
                                                 exports_isinglass_plugin_compute_fault_t *err) {
  (void)function;
  const isinglass_plugin_columns_column_t *argument = &arguments->ptr[0];
  harmonic_t *all = room_for(groups, sizeof *all);
  bool good = true;
  for (size_t row = 0; row < rows; row++) {
    if (!is_valid(argument, row)) continue;
    double value = argument->data.val.numbers_f64.ptr[row];
    if (value <= 0) {
      err->row.is_some = true;
      err->row.val = (uint32_t)row;
      SET_TEXT(err->message, "harmonic_mean takes positive values only");
      good = false;
      break;
    }
    harmonic_t *state = &all[group_of(group_of_row, row)];
    state->count += 1;
    state->reciprocals += 1 / value;
  }
  if (good) write_all(all, groups, ret);
  free(all);
  function_list_u32_free(group_of_row);
  exports_isinglass_plugin_compute_list_column_free(arguments);
  return good;
}

bool exports_isinglass_plugin_compute_merge(uint16_t function, uint32_t groups, function_list_u32_t *group_of_state,
                                            exports_isinglass_plugin_compute_text_column_t *states,
                                            exports_isinglass_plugin_compute_text_column_t *ret,
                                            exports_isinglass_plugin_compute_fault_t *err) {
  (void)function, (void)err;
  harmonic_t *all = room_for(groups, sizeof *all);
  for (size_t at = 0; at + 1 < states->offsets.len; at++) {
    harmonic_t state = read_one(states, at), *sum = &all[group_of(group_of_state, at)];
    sum->count += state.count;
    sum->reciprocals += state.reciprocals;
  }
  write_all(all, groups, ret);
  free(all);
  function_list_u32_free(group_of_state);
  exports_isinglass_plugin_compute_text_column_free(states);
  return true;
}

bool exports_isinglass_plugin_compute_finish(uint16_t function, exports_isinglass_plugin_compute_text_column_t *states,
                                             exports_isinglass_plugin_compute_column_t *ret,
                                             exports_isinglass_plugin_compute_fault_t *err) {
  (void)function, (void)err;
  size_t groups = states->offsets.len - 1;
  double *means = floats(ret, groups);
  uint8_t *validity = room_for((groups + 7) / 8, 1);
  for (size_t group = 0; group < groups; group++) {
    harmonic_t state = read_one(states, group);
    if (state.count == 0) continue;
    means[group] = state.count / state.reciprocals;
    validity[group / 8] |= (uint8_t)(1 << group % 8);
  }
  ret->validity.is_some = true;
  ret->validity.val.len = (groups + 7) / 8;
  ret->validity.val.ptr = validity;
  exports_isinglass_plugin_compute_text_column_free(states);
  return true;
}
