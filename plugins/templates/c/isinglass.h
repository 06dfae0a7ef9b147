// What plugins in C need besides the interface: text for answers, and configurations.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Bytes that belong to somebody else and do not end with a 0.
typedef struct {
  const uint8_t *ptr;
  size_t len;
} slice_t;

bool slice_is(slice_t slice, const char *text);

// Memory for an answer, which the bindings free. Ends the call where there is none.
void *room_for(size_t count, size_t size);

// A copy of bytes, for an answer.
uint8_t *copy_of(const void *bytes, size_t len);

// Three texts in one, for an answer.
uint8_t *joined(const char *before, slice_t middle, const char *after, size_t *len);

// Fill a string of an answer.
#define SET_TEXT(string, text) ((string).len = strlen(text), (string).ptr = copy_of(text, (string).len))
#define SET_JOINED(string, before, middle, after) ((string).ptr = joined(before, middle, after, &(string).len))

// A value of a text or dictionary column: of `offsets` and `data` as the interface has them.
#define VALUE_OF(column, at)                         \
  ((slice_t){(column).data.ptr + (column).offsets.ptr[at], \
             (size_t)((column).offsets.ptr[(at) + 1] - (column).offsets.ptr[at])})

// Walks through a configuration, which is an object:
//
//   config_t config = config_of(text, length);
//   while (config_next(&config)) {
//     if (slice_is(config.key, "burst") && config_number(&config, &burst)) continue;
//     return refused("unknown key ", config.key);
//   }
//
// A value that is not asked for ends the walk: `config_next` is false and `failed` is set.
typedef struct {
  uint8_t *at;
  uint8_t *end;
  slice_t key;
  bool begun;
  bool failed;
} config_t;

// Takes `text` apart in its place; texts in it live as long as it does.
config_t config_of(uint8_t *text, size_t len);
bool config_next(config_t *config);
bool config_number(config_t *config, double *number);
bool config_text(config_t *config, slice_t *text);
// A list of texts; `texts` has room for `max` of them, more are a failure.
bool config_texts(config_t *config, slice_t *texts, size_t max, size_t *count);
