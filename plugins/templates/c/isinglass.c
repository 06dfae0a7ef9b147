#include "isinglass.h"

bool slice_is(slice_t slice, const char *text) {
  return slice.len == strlen(text) && memcmp(slice.ptr, text, slice.len) == 0;
}

void *room_for(size_t count, size_t size) {
  void *room = calloc(count > 0 ? count : 1, size);
  if (room == NULL) __builtin_trap();
  return room;
}

uint8_t *copy_of(const void *bytes, size_t len) {
  uint8_t *copy = room_for(len, 1);
  memcpy(copy, bytes, len);
  return copy;
}

uint8_t *joined(const char *before, slice_t middle, const char *after, size_t *len) {
  size_t first = strlen(before), last = strlen(after);
  *len = first + middle.len + last;
  uint8_t *text = room_for(*len, 1);
  memcpy(text, before, first);
  memcpy(text + first, middle.ptr, middle.len);
  memcpy(text + first + middle.len, after, last);
  return text;
}

config_t config_of(uint8_t *text, size_t len) {
  return (config_t){.at = text, .end = text + len};
}

static bool failed(config_t *config) {
  config->failed = true;
  return false;
}

static void skip_space(config_t *config) {
  while (config->at < config->end && strchr(" \t\r\n", *config->at) != NULL) config->at++;
}

static bool take(config_t *config, char wanted) {
  skip_space(config);
  if (config->at == config->end || *config->at != (uint8_t)wanted) return false;
  config->at++;
  return true;
}

static bool hex4(config_t *config, uint32_t *code) {
  *code = 0;
  for (int digit = 0; digit < 4; digit++) {
    if (config->at == config->end) return false;
    uint8_t c = *config->at++;
    uint8_t lower = c | 0x20;
    if (c >= '0' && c <= '9') *code = *code << 4 | (uint32_t)(c - '0');
    else if (lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
    else return false;
  }
  return true;
}

// A character behind a backslash; what it stands for is never longer than how it is written.
static bool escaped(config_t *config, uint8_t **to) {
  static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
  if (config->at == config->end) return false;
  uint8_t c = *config->at++;
  const char *known = c == 0 ? NULL : strchr(from, c);
  if (known != NULL) {
    *(*to)++ = (uint8_t)into[known - from];
    return true;
  }
  uint32_t code, low;
  if (c != 'u' || !hex4(config, &code)) return false;
  if (code >= 0xd800 && code < 0xdc00) {
    if (config->end - config->at < 6 || config->at[0] != '\\' || config->at[1] != 'u') return false;
    config->at += 2;
    if (!hex4(config, &low) || low < 0xdc00 || low > 0xdfff) return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code < 0x80) {
    *(*to)++ = (uint8_t)code;
    return true;
  }
  int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  *(*to)++ = (uint8_t)((0xf00 >> more & 0xff) | code >> (6 * more));
  while (more-- > 0) *(*to)++ = (uint8_t)(0x80 | (code >> (6 * more) & 0x3f));
  return true;
}

bool config_text(config_t *config, slice_t *text) {
  if (!take(config, '"')) return failed(config);
  uint8_t *to = config->at;
  text->ptr = to;
  while (config->at < config->end && *config->at != '"') {
    if (*config->at != '\\') {
      *to++ = *config->at++;
      continue;
    }
    config->at++;
    if (!escaped(config, &to)) return failed(config);
  }
  text->len = (size_t)(to - text->ptr);
  return take(config, '"') || failed(config);
}

bool config_number(config_t *config, double *number) {
  bool negative = take(config, '-');
  bool any = false;
  double value = 0, unit = 1;
  for (bool fraction = false; config->at < config->end; config->at++) {
    uint8_t c = *config->at;
    if (c == '.' && !fraction) {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      any = true;
      value = value * 10 + (c - '0');
      if (fraction) unit *= 10;
    } else {
      break;
    }
  }
  int exponent = 0;
  if (config->at < config->end && (*config->at | 0x20) == 'e') {
    config->at++;
    bool small = take(config, '-');
    if (!small) take(config, '+');
    while (config->at < config->end && *config->at >= '0' && *config->at <= '9' && exponent < 400) {
      exponent = exponent * 10 + (*config->at++ - '0');
    }
    for (; exponent > 0; exponent--) small ? (unit *= 10) : (value *= 10);
  }
  *number = (negative ? -value : value) / unit;
  return any || failed(config);
}

bool config_texts(config_t *config, slice_t *texts, size_t max, size_t *count) {
  *count = 0;
  if (!take(config, '[')) return failed(config);
  if (take(config, ']')) return true;
  do {
    if (*count == max || !config_text(config, &texts[(*count)++])) return failed(config);
  } while (take(config, ','));
  return take(config, ']') || failed(config);
}

bool config_next(config_t *config) {
  if (config->failed) return false;
  if (!config->begun) {
    config->begun = true;
    if (!take(config, '{')) return failed(config);
    if (take(config, '}')) return false;
  } else if (take(config, '}')) {
    return false;
  } else if (!take(config, ',')) {
    return failed(config);
  }
  if (!config_text(config, &config->key)) return false;
  return take(config, ':') || failed(config);
}
