// What a dispatch over the rows of a batch may do; see shader::Pass.

// Finds out what is wrong and stores nothing; stores unless something was found; stores what is good.
const CHECK: u32 = 0u;
const STORE_UNLESS_BAD: u32 = 1u;
const STORE_GOOD: u32 = 2u;

// Whether the batch is refused as a whole.
fn may_run() -> bool {
    if atomicLoad(&status.bad_bags) > 0u {
        return false;
    }
    let found = atomicLoad(&status.bad_indices)
        | atomicLoad(&status.bad_rows)
        | atomicLoad(&status.unfinished);
    return work.pass_kind != STORE_UNLESS_BAD || found == 0u;
}

fn may_store() -> bool {
    return work.pass_kind != CHECK;
}
