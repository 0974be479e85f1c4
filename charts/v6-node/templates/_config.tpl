{{/* The configuration file that launcher and proxy read: launcher/config refuses what it does not know. */}}

{{/* The `node` section, without its secrets. */}}
{{- define "v6-node.nodeSection" -}}
{{- $node := omit .Values.node "api_key" "whitelist" "ssh-tunnels" "docker_registries" -}}
{{- $databases := list -}}
{{- range .Values.node.databases -}}
{{- $databases = append $databases (pick . "label" "type" "claim" "nodeName" "mount_mode" (ternary "label" "uri" (eq "true" (include "v6-node.isService" .)))) -}}
{{- end -}}
{{- $_ := set $node "databases" $databases -}}
{{- $_ := set $node "encryption" (pick .Values.node.encryption "enabled") -}}
{{- /* Helm drops a key that is set to null; the launcher has to see the null, or it would take its default. */ -}}
{{- if not (hasKey $node "port") }}{{ $node = merge (dict "port" nil) $node }}{{ end -}}
{{- toYaml $node -}}
{{- end }}

{{/* The `kubernetes` section: what vantage6 has no word for. */}}
{{- define "v6-node.kubernetesSection" -}}
namespace: {{ .Release.Namespace | quote }}
release: {{ .Release.Name | quote }}
chart: {{ include "v6-node.chart" . }}
image: {{ include "v6-node.image" . | quote }}
protocol: {{ .Values.server.protocol }}
proxy:
  service: v6-node-proxy
  port: 80
server:
  {{- include "v6-node.serverSection" . | nindent 2 }}
algorithmServiceAccount: v6-node-algorithm
imagePullSecrets: {{ include "v6-node.algorithmPullSecrets" . }}
taskVolume:
  claim: {{ include "v6-node.taskClaim" . }}
  oneMachine: {{ include "v6-node.oneMachine" . | eq "true" }}
  minFreeBytes: {{ int64 .Values.taskVolume.minFreeBytes }}
retention:
  {{- pick .Values.retention "failedHours" "logHours" "tmpHours" | toYaml | nindent 2 }}
  {{- /* Helm drops a key that is set to null. */}}
  strangerHours: {{ .Values.retention.strangerHours | toJson }}
databases: {{ include "v6-node.databasePlaces" . }}
policies: {{ include "v6-node.algorithmPolicies" . }}
egress: {{ ternary (dict "service" "v6-node-egress" "port" 3128 | toJson) "null" (eq "true" (include "v6-node.hasWhitelist" .)) }}
isolation:
  {{- include "v6-node.isolationSection" . | nindent 2 }}
jobs:
  {{- omit .Values.jobs "templates" "lookUpClasses" "quota" | toYaml | nindent 2 }}
{{- end }}

{{/*
The specs of the NetworkPolicies that select algorithms, as JSON by name: the launcher compares them with what there is, as
a policy that somebody changes or adds can let algorithms out on a way that no check tries.
*/}}
{{- define "v6-node.algorithmPolicies" -}}
{{- $specs := dict -}}
{{- range $file := list "default-deny" "algorithm" "databases" "egress" -}}
{{- range regexSplit "(?m)^---$" (include (printf "%s/network/%s.yaml" $.Template.BasePath $file) $) -1 -}}
{{- with fromYaml . -}}
{{- if not (dig "podSelector" "matchLabels" "v6-node.vantage6.ai/role" "algorithm" .spec | eq "egress") -}}
{{- $_ := set $specs .metadata.name .spec -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $specs -}}
{{- end }}

{{/* How the isolation is checked: with times in seconds. */}}
{{- define "v6-node.isolationSection" -}}
{{- with .Values.isolation -}}
required: {{ .required }}
recheckEvery: {{ include "v6-node.seconds" .recheckEvery }}
accept: {{ .accept | default list | toJson }}
onFailure: {{ .onFailure }}
outside: {{ .outside | default list | toJson }}
image:
  ref: {{ include "v6-node.imageOf" (dict "image" .image "root" $) | quote }}
  pullPolicy: {{ .image.pullPolicy }}
{{- end -}}
{{- end }}

{{/* The seconds of a duration such as 90s, 30m or 6h. */}}
{{- define "v6-node.seconds" -}}
{{- mul (trimSuffix (regexFind "[smh]$" .) . | int) (get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" .)) -}}
{{- end }}

{{/* Whether algorithms may reach anything through the egress proxy. */}}
{{- define "v6-node.hasWhitelist" -}}
{{- with .Values.node.whitelist -}}
{{- if or .domains .ips .destinations }}true{{ end -}}
{{- end -}}
{{- end }}
