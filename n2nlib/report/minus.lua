-- A hyphen before a number, at the beginning of a word, is set as a minus sign; code and equations are left alone.
function Str(word)
  word.text = word.text:gsub("^([%(%[]*)%-(%d)", "%1−%2")
  return word
end
