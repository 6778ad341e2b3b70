-- A Tarantool without the `metrics` module: the same numbers from box.* and fiber.
if answer.page == nil then
    local found = {}
    found.info = try(function() return box.info() end)
    found.memory = try(function() return box.info.memory() end)
    found.stat = try(function() return box.stat() end)
    found.net = try(function() return box.stat.net() end)
    found.threads = try(function() return box.stat.net.thread() end)
    found.slab = try(function() return box.slab.info() end)
    found.runtime = try(function() return box.runtime.info() end)
    found.vinyl = try(function() return box.stat.vinyl() end)
    found.tx = try(function() return box.stat.memtx.tx() end)
    found.lj = not without.luajit and try(function() return require('misc').getmetrics() end)
    found.time = require('clock').time()
    found.fibers = not without.fibers and try(function()
        local sum = {amount = 0, csw = 0, memalloc = 0, memused = 0}
        for _, f in pairs(require('fiber').info({bt = false, backtrace = false})) do
            sum.amount = sum.amount + 1
            sum.csw = sum.csw + f.csw
            sum.memalloc = sum.memalloc + f.memory.total
            sum.memused = sum.memused + f.memory.used
        end
        return sum
    end)
    found.spaces = not without.spaces and try(function()
        local rows = {}
        for id, space in pairs(box.space) do
            if type(id) == 'number' and id > 511 and #rows < 20000 then
                local indexes = {}
                for at, index in pairs(space.index) do
                    if type(at) == 'number' then indexes[#indexes + 1] = {index.name, index:bsize()} end
                end
                -- The length of a vinyl space is not known without reading it.
                local memtx = space.engine == 'memtx'
                rows[#rows + 1] = {space.name, space.engine, space:bsize(), memtx and space:len() or -1, indexes}
            end
        end
        return rows
    end)
    answer.box, answer.via = found, answer.via or 'box'
end
