// Rows whose codebook is that of their block: they become rows with a codebook of their own, of the same values.

fn collected_words() -> u32 {
    return codebook_words() + table.row_words;
}

fn collected_word(index: u32, word: u32) -> u32 {
    if word < codebook_words() {
        return shared_words[block_of(0u, index) * codebook_words() + word];
    }
    return rows[(index - shard.first_row) * table.row_words + word - codebook_words()];
}
