-- Reads or writes many texts in one process: `pandoc lua texts.lua read|write`, a JSON list of [format, text] in, one out.
-- A text that fails is null, and costs no other.

local here = pandoc.path.directory(arg[0])
local numbers = dofile(pandoc.path.join({here, "numbers.lua"}))
local columns = 100000

-- What HTML must not touch is kept aside under a character that no text holds.
local OPEN, CLOSE = "\u{F0000}", "\u{F0001}"

local function has_html(doc)
  local found = false
  local function look(raw) found = found or raw.format:match("^html") ~= nil end
  doc:walk({RawInline = look, RawBlock = look})
  return found
end

-- HTML in Markdown is read as HTML: tags that pandoc's Markdown reader passed through become elements, and whatever
-- is no element of a text (scripts, styles, forms, comments) goes.
local function with_html(doc)
  local kept = {}
  local function keep(element)
    kept[#kept + 1] = element
    return OPEN .. #kept .. CLOSE
  end
  local function inline(element) return pandoc.Str(keep(element)) end
  local function block(element) return pandoc.Para({pandoc.Str(keep(element))}) end
  local function tex(raw, how) if not raw.format:match("^html") then return how(raw) end end
  doc = doc:walk({
    Math = inline, Code = inline, CodeBlock = block,
    RawInline = function(raw) return tex(raw, inline) end, RawBlock = function(raw) return tex(raw, block) end,
  })
  doc = doc:walk({Note = inline})
  local html = pandoc.write(doc, "html5", {columns = columns, wrap_text = "preserve"})
  -- A fold is known by its class later on.
  html = html:gsub("<(/?)details[^>]*>", function(slash) return slash == "" and '<div class="details">' or "</div>" end)
  html = html:gsub("<(/?)summary[^>]*>", function(slash) return slash == "" and '<div class="summary">' or "</div>" end)
  doc = pandoc.read(html, "html", {columns = columns}, {})

  local back
  local function is_block(element) return element.t == "CodeBlock" or element.t == "RawBlock" end
  local function restore_inlines(inlines)
    local out = pandoc.Inlines({})
    for _, element in ipairs(inlines) do
      if element.t == "Str" and element.text:find(OPEN, 1, true) then
        local rest = element.text
        while true do
          local before, number, after = rest:match("^(.-)" .. OPEN .. "(%d+)" .. CLOSE .. "(.*)$")
          if not before then break end
          if before ~= "" then out:insert(pandoc.Str(before)) end
          local found = kept[tonumber(number)]
          if found then
            if is_block(found) then found = pandoc.Code(found.text) end
            out:insert(found.t == "Note" and back(found) or found)
          end
          rest = after
        end
        if rest ~= "" then out:insert(pandoc.Str(rest)) end
      else
        out:insert(element)
      end
    end
    return out
  end
  local function restore_blocks(blocks)
    local out = pandoc.Blocks({})
    for _, element in ipairs(blocks) do
      local one = (element.t == "Para" or element.t == "Plain") and #element.content == 1 and element.content[1]
      local number = one and one.t == "Str" and one.text:match("^" .. OPEN .. "(%d+)" .. CLOSE .. "$")
      local found = number and kept[tonumber(number)]
      out:insert(found and is_block(found) and found or element)
    end
    return out
  end
  back = function(element) return element:walk({Blocks = restore_blocks}):walk({Inlines = restore_inlines}) end
  return back(doc)
end

local tasks = {}

function tasks.read(format, text)
  text = text:gsub(OPEN, ""):gsub(CLOSE, "")
  local doc = pandoc.read(text, format, {columns = columns}, {})
  if has_html(doc) then doc = with_html(doc) end
  return pandoc.write(doc:walk(numbers), "json")
end

function tasks.write(format, text)
  return pandoc.write(pandoc.read(text, "json"), format, {columns = columns})
end

local out = {}
for i, job in ipairs(pandoc.json.decode(io.read("a"), false)) do
  local fine, text = pcall(tasks[arg[1]], job[1], job[2])
  out[i] = not fine and "null" or arg[1] == "read" and text or pandoc.json.encode(text)
end
io.write("[" .. table.concat(out, ",") .. "]")
