{{/* The configuration file that launcher and proxy read: launcher/config.py refuses what it does not know. */}}

{{/* The `node` section, without its secrets. */}}
{{- define "v6-node.nodeSection" -}}
{{- $node := omit .Values.node "api_key" -}}
{{- /* Helm drops a key that is set to null; the launcher has to see the null, or it would take its default. */ -}}
{{- if not (hasKey $node "port") }}{{ $node = merge (dict "port" nil) $node }}{{ end -}}
{{- toYaml $node -}}
{{- end }}

{{/* The `kubernetes` section: what vantage6 has no word for. */}}
{{- define "v6-node.kubernetesSection" -}}
namespace: {{ .Release.Namespace | quote }}
release: {{ .Release.Name | quote }}
chart: {{ include "v6-node.chart" . }}
proxy:
  service: v6-node-proxy
  port: 80
algorithmServiceAccount: v6-node-algorithm
imagePullSecrets: {{ .Values.imagePullSecrets | default list | toJson }}
taskVolume:
  claim: {{ include "v6-node.taskClaim" . }}
databases: {{ include "v6-node.databaseClaims" . }}
jobs:
  {{- omit .Values.jobs "templates" | toYaml | nindent 2 }}
{{- end }}
