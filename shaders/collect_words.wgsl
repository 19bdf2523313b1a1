// Rows that hold all that is known of them: they are copied as they are.

fn collected_words() -> u32 {
    return table.row_words;
}

fn collected_word(index: u32, word: u32) -> u32 {
    return rows[(index - shard.first_row) * table.row_words + word];
}
