// One weight for every index, where the variant has weights.

@group(0) @binding(5) var<storage, read> weights: array<f32>;

override WEIGHTED: bool;
