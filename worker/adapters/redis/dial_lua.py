"""How scripts parse the two dials that they read; a test holds each to the parser in Python.

Scripts, because the kill switch and the cap must be judged in the same step that relies on them.
"""

# Whether the bytes of the kill dial release it, as `gates.kill_switch.parse` says.
RELEASES = r"""
local function releases(raw)
  return raw and string.lower(string.match(raw, '^%s*(.-)%s*$')) == 'false'
end
"""
# The bytes of the spend cap in nano-dollars, as `spend_cap.parse` says; -1 for malformed ones.
CAP = r"""
local function cap_of(raw)
  if not raw or not string.match(raw, '^%d+%.?%d*$') or #raw > 15 then return -1 end
  return math.floor(tonumber(raw) * 1000000000 + 0.5)
end
"""
