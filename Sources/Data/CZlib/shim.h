// zlib for Swift. Nothing else happens here.
#pragma once

#include <zlib.h>

// Macros that Swift cannot call.
static inline int lockstep_inflate_begin(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
static inline int lockstep_deflate_begin(z_stream *stream) {
  return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
