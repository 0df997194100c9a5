"""Day-ahead planning models (ems.md section 7; seeds 000, 002, 003): pure functions of prices, stays and limits.

Unlike the live half of `ems`, these speak the language of the day-ahead market: power in kW, energy in kWh, money in
the unit of the price series, all marked in the names. A day is `T` slots of `slot_h` hours; slot `t` covers
[t slot_h, (t + 1) slot_h) hours after the day's start. Random inputs come from a generator that the caller seeds.
"""
