-- The collectors of the `metrics` module kill the whole instance when they are refused a read inside a compiled trace.
-- So nothing is collected before this chunk has seen that the user may read every space, by calls into C that no trace
-- contains (`box.internal.get`), with the JIT off for this chunk. Nothing yields between here and the collectors, so that
-- rights cannot change in between. A refusal is an ordinary answer. Closed when in doubt.
if jit then jit.off(true, true) end
local ACCESS_DENIED = 42
local function refused()
    local look = box.internal and box.internal.get
    if look == nil then return 'box.internal.get is not there' end
    local ok, row = pcall(look, 280, 0, {280})
    if not ok or row == nil then return '_space: ' .. tostring(row) end
    local user = box.session.effective_user()
    if user == 'admin' or user == 'pico_service' then return nil end
    for id, space in pairs(box.space) do
        if type(id) == 'number' then
            -- An empty key is always wrong, but whether the user may read the space is looked at first.
            local _, err = pcall(look, id, 0, {})
            if type(err) ~= 'cdata' or err.code == ACCESS_DENIED then
                return tostring(space.name) .. ': ' .. tostring(err)
            end
        end
    end
end
local why = refused()
if why ~= nil then return {refused = why} end
local function try(f)
    local ok, result = pcall(f)
    if ok and type(result) == 'table' then return result end
end
local answer = {}
