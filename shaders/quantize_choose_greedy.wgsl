// Methods greedy and greedy-paper.

fn choose(low: f32, high: f32) -> Grid {
    return greedy(low, high);
}
