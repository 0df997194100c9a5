"""Ratios against rivals, one file each: subject and rival interleaved in one run, medians with minimum and maximum."""
