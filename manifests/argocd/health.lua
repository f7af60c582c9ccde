-- Health of a PersistentVolumeClaim for Argo CD: the health of its volume, otherwise as Argo CD's own check.
-- Argo CD runs it in Lua 5.1 with the claim as obj. See README.md.

local severity = { DataLoss = 1, Inaccessible = 2, Degraded = 3 }

local status = obj.status or {}

-- Kubernetes 1.37 and later: the field that csi-health-monitor writes.
local conditions = {}
for _, condition in ipairs((status.healthStatus or {}).healthConditions or {}) do
  conditions[#conditions + 1] = condition
end
if #conditions > 0 then
  table.sort(conditions, function(one, other)
    local first, second = severity[one.status] or 4, severity[other.status] or 4
    if first ~= second then
      return first < second
    end
    return (one.reason or "") < (other.reason or "")
  end)
  local texts = {}
  for _, condition in ipairs(conditions) do
    local text = condition.status or "Unknown"
    if condition.reason and condition.reason ~= "" then
      text = text .. " (" .. condition.reason .. ")"
    end
    if condition.message and condition.message ~= "" then
      text = text .. ": " .. condition.message
    end
    texts[#texts + 1] = text
  end
  return { status = "Degraded", message = table.concat(texts, "; ") }
end

-- Before Kubernetes 1.37: the condition that it sets instead.
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "csi-health-monitor/VolumeHealthy" and condition.status ~= "True" then
    return { status = "Degraded", message = condition.message or condition.reason or "The volume is unhealthy" }
  end
end

-- Source: gitops-engine, pkg/health/health_pvc.go.
local phases = { Bound = "Healthy", Pending = "Progressing", Lost = "Degraded" }
return { status = phases[status.phase] or "Unknown", message = "" }
