-- Tests health.lua: lua5.4 manifests/argocd/health-test.lua, from the root of the repository.

local path = "manifests/argocd/health.lua"

-- Runs the script with the libraries that Argo CD loads, of which the script needs these. There is no string library.
local function health(claim)
  local environment = { obj = claim, ipairs = ipairs, table = table }
  return assert(loadfile(path, "t", environment))()
end

local function bound(fields)
  fields.phase = "Bound"
  return { status = fields }
end

local function condition(status, message)
  return { type = "csi-health-monitor/VolumeHealthy", status = status, reason = "ArrayDown", message = message }
end

local cases = {
  { "a claim without a status is unknown", {}, "Unknown", "" },
  { "a bound claim is healthy", bound {}, "Healthy", "" },
  { "a pending claim is progressing", { status = { phase = "Pending" } }, "Progressing", "" },
  { "a lost claim is degraded", { status = { phase = "Lost" } }, "Degraded", "" },
  { "an empty health status is healthy", bound { healthStatus = {} }, "Healthy", "" },
  {
    "a health status without conditions is healthy",
    bound { healthStatus = { healthConditions = {} } },
    "Healthy",
    "",
  },
  {
    "a condition of the health status is degraded, with its reason and message",
    bound { healthStatus = { healthConditions = { { status = "Degraded", reason = "Slow", message = "200 ms" } } } },
    "Degraded",
    "Degraded (Slow): 200 ms",
  },
  {
    "the worst condition comes first, and equal ones are in the order of their reasons",
    bound {
      healthStatus = {
        healthConditions = {
          { status = "Future", reason = "Odd" },
          { status = "Degraded", reason = "Slow", message = "200 ms" },
          { status = "DataLoss", reason = "Gone" },
          { status = "Inaccessible", reason = "PathDown", message = "1 of 2" },
          { status = "DataLoss", reason = "BadBlocks", message = "7 blocks" },
        },
      },
    },
    "Degraded",
    "DataLoss (BadBlocks): 7 blocks; DataLoss (Gone); Inaccessible (PathDown): 1 of 2; "
      .. "Degraded (Slow): 200 ms; Future (Odd)",
  },
  {
    "a condition of the health status without a reason and a message is degraded",
    bound { healthStatus = { healthConditions = { { status = "Inaccessible" } } } },
    "Degraded",
    "Inaccessible",
  },
  {
    "an unhealthy volume of a pending claim is degraded",
    { status = { phase = "Pending", healthStatus = { healthConditions = { { status = "Inaccessible" } } } } },
    "Degraded",
    "Inaccessible",
  },
  {
    "the claim condition is degraded where there is no health status",
    bound { conditions = { { type = "Resizing", status = "True" }, condition("False", "Inaccessible (ArrayDown)") } },
    "Degraded",
    "Inaccessible (ArrayDown)",
  },
  {
    "a claim condition of status Unknown is degraded",
    bound { conditions = { condition("Unknown") } },
    "Degraded",
    "ArrayDown",
  },
  {
    "a recovered claim condition is healthy",
    bound { conditions = { condition("True", "recovered") } },
    "Healthy",
    "",
  },
  {
    "conditions of other types say nothing",
    bound { conditions = { { type = "example.com/VolumeHealthy", status = "False", message = "no" } } },
    "Healthy",
    "",
  },
  {
    "the health status comes before the claim condition",
    bound {
      healthStatus = { healthConditions = { { status = "DataLoss", reason = "Gone" } } },
      conditions = { condition("False", "older") },
    },
    "Degraded",
    "DataLoss (Gone)",
  },
}

local failed = 0
for _, case in ipairs(cases) do
  local name, claim, status, message = case[1], case[2], case[3], case[4]
  local result = health(claim)
  if result.status ~= status or result.message ~= message then
    failed = failed + 1
    print(("FAILED: %s: %s %q, expected %s %q"):format(name, result.status, result.message, status, message))
  end
end
print(("%d of %d cases passed"):format(#cases - failed, #cases))
os.exit(failed == 0)
