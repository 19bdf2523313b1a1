// Whether a sum is divided by the number of indices in its bag.

override MEAN: bool;
