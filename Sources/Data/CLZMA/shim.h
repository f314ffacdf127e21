// liblzma for Swift. Nothing else happens here.
#pragma once

#include <lzma.h>

// Macros that Swift cannot use.
static inline lzma_stream lockstep_lzma_stream(void) {
  lzma_stream stream = LZMA_STREAM_INIT;
  return stream;
}
static inline lzma_ret lockstep_lzma_decoder(lzma_stream *stream, uint64_t memory) {
  return lzma_stream_decoder(stream, memory, LZMA_CONCATENATED);
}
