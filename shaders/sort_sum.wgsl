// Sums over the lanes of a workgroup.

var<workgroup> sums: array<u32, DIGITS>;

// The sum of the values of all lanes before this one; leaves in `sums` those that include the lane's own.
fn sum_before(lane: u32, value: u32) -> u32 {
    // Whoever still reads the last sums.
    workgroupBarrier();
    sums[lane] = value;
    workgroupBarrier();
    for (var stride = 1u; stride < DIGITS; stride *= 2u) {
        var sum = sums[lane];
        if lane >= stride {
            sum += sums[lane - stride];
        }
        workgroupBarrier();
        sums[lane] = sum;
        workgroupBarrier();
    }
    return sums[lane] - value;
}
