"""The words that every part of Headroom shares: standard library only, frozen, no behaviour beyond lookup."""
