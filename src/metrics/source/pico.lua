-- What of the pico_* families can be derived when the HTTP listener is off and no one can read their registry.
if rawget(_G, 'pico') and answer.via ~= 'route' then
    local function call(name)
        return try(function() return box.func[name]:call() end)
    end
    local pico = {instance = call('.proc_instance_info'), raft = call('.proc_raft_info')}
    pico.uptime = box.info.uptime
    local dir = box.cfg.memtx_dir
    if dir == nil or dir == '.' then dir = box.cfg.work_dir end
    pico.dir = tostring(dir or ''):match('([^/]+)/*$')
    pico.commit = try(function() return box.space._raft_state:get('commit'):totable() end)
    pico.instances = not without.instances and try(function()
        local rows = {}
        for _, row in ipairs(box.space._pico_instance:select({}, {limit = 4096})) do
            rows[#rows + 1] = row:tomap({names_only = true})
        end
        return rows
    end)
    -- As Picodata counts since 26: every table of the two engines, and what it calls its kind; vinyl has no size in memory.
    pico.tables = not without.tables and try(function()
        local rows = {}
        for _, row in ipairs(box.space._space:select({}, {limit = 20000})) do
            local id, name, engine, flags = row[1], row[3], row[4], row[6]
            local space = (engine == 'memtx' or engine == 'vinyl') and box.space[id]
            if space then
                local kind, size = 'user', -1
                if id <= 1024 then
                    kind = 'system'
                elseif type(flags) == 'table' and flags.type == 'temporary' then
                    kind = 'temporary'
                end
                if engine == 'memtx' then
                    size = space:bsize()
                    for at, index in pairs(space.index) do
                        if type(at) == 'number' then size = size + index:bsize() end
                    end
                end
                rows[#rows + 1] = {name, kind, engine, space:len(), size}
            end
        end
        return rows
    end)
    answer.pico = pico
end
