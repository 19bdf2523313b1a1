// A row is HEADER_WORDS words of scale and bias, of a step, or of centroids, then codes or floats of BITS bits, low bits
// first, column i at bit i * BITS; see docs/formats.md.

override BITS: u32;
override HEADER_WORDS: u32;
