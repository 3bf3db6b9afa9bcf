-- How numbers are set. Code and equations are left alone.

-- A hyphen before a number, at the beginning of a word, is a minus sign.
local function Str(word)
  word.text = word.text:gsub("^([%(%[]*)%-(%d)", "%1−%2")
  return word
end

-- An interval "[low, high]" stays on one line.
local function Inlines(words)
  for i = 2, #words - 1 do
    local before, after = words[i - 1], words[i + 1]
    if words[i].t == "Space" and before.t == "Str" and after.t == "Str"
      and before.text:match("^%[[^%]]*%d,$") and after.text:match("^[^%[]*%d%]") then
      words[i] = pandoc.Str("\u{a0}")
    end
  end
  return words
end

return {Str = Str, Inlines = Inlines}
