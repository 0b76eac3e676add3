-- Tags every job of sbatch, salloc and srun with a submission id of its own, also where Ergon's sbatch wrapper is not used:
-- on compute nodes, from workflow engines, by absolute path. Ergon finds such jobs by the tag and reports them as one job
-- through requeues and reused ids. Nothing else is read or changed, and no fault here can stop a submission.
--
-- The tag is a comment, ergon1:<UUIDv7>, with the user's own comment kept behind a "|" (shared/jobkey).
--
-- To use it: copy it beside slurm.conf as cli_filter.lua (where the site has one, call ergon_tag from its
-- slurm_cli_pre_submit) and set CliFilterPlugins=cli_filter/lua in slurm.conf. The wrapper may be used beside it: a job that
-- has a tag keeps it. Written for Lua 5.1 to 5.4.

local PREFIX = "ergon1:"
local HEX = "[0-9a-f]"
local UUID = HEX:rep(8) .. "%-" .. HEX:rep(4) .. "%-" .. HEX:rep(4) .. "%-" .. HEX:rep(4) .. "%-" .. HEX:rep(12)

-- The components of one heterogeneous job share a tag: slurmctld and Ergon tell them apart by their offset.
local current

local function exists(path)
	local f = io.open(path, "r")
	if f then
		f:close()
	end
	return f ~= nil
end

-- The same switches as those of the wrapper: environment, user, site.
local function disabled()
	local off = os.getenv("ERGON_DISABLE")
	local config = os.getenv("XDG_CONFIG_HOME")
	local home = os.getenv("HOME")
	if (config == nil or config:sub(1, 1) ~= "/") and home ~= nil and home ~= "" then
		config = home .. "/.config"
	end
	return (off ~= nil and off ~= "" and off ~= "0") or exists("/etc/ergon/disabled")
		or (config ~= nil and config ~= "" and exists(config .. "/ergon/off"))
end

-- UUIDv7 (RFC 9562, 5.7): 48 bits of Unix time in ms, version 7, and random bits from the kernel's UUIDv4, whose variant
-- stands at the same place. Lua knows whole seconds only, so the milliseconds are always 0; the random part makes ids unique.
local function uuid7()
	local f = io.open("/proc/sys/kernel/random/uuid", "r")
	if not f then
		return nil
	end
	local random = f:read("*l")
	f:close()
	if not random or not random:match("^" .. UUID .. "$") then
		return nil
	end
	local seconds = os.time()
	-- In two halves, because "%x" of Lua 5.1 may hold 32 bits only: ms = high × 2^16 + low.
	local ms = seconds * 1000
	local low = ms % 65536
	local high = (ms - low) / 65536
	return string.format("%08x-%04x-7", high, low) .. random:sub(16)
end

local function tagged(comment)
	return comment:match("^" .. PREFIX .. UUID .. "$") ~= nil or comment:match("^" .. PREFIX .. UUID .. "|") ~= nil
end

-- Job steps belong to a job that has its tag already.
local function is_step(options)
	return options["type"] == "srun" and os.getenv("SLURM_JOB_ID") ~= nil
end

function ergon_tag(options, offset)
	local comment = options["comment"] or ""
	if disabled() or is_step(options) or tagged(comment) then
		return
	end
	if offset == 0 or not current then
		current = uuid7()
	end
	if not current then
		return
	end
	if comment == "" then
		options["comment"] = PREFIX .. current
	else
		options["comment"] = PREFIX .. current .. "|" .. comment
	end
end

function slurm_cli_setup_defaults(options, early_pass)
	return slurm.SUCCESS
end

function slurm_cli_pre_submit(options, offset)
	pcall(ergon_tag, options, offset)
	return slurm.SUCCESS
end

function slurm_cli_post_submit(offset, job_id, step_id)
	return slurm.SUCCESS
end
