{{/* Rules for Jobs in CEL, and what they are about. */}}

{{/* The name of an object of the cluster that belongs to this node. Takes a dict: root, what. */}}
{{- define "v6-node.clusterName" -}}
v6-node-{{ .root.Release.Namespace }}-{{ .what }}
{{- end }}

{{/* A list of texts in CEL. */}}
{{- define "v6-node.celTexts" -}}
[{{ range $index, $each := . }}{{ if $index }}, {{ end }}{{ $each | squote }}{{ end }}]
{{- end }}

{{/* Who a policy is about: the launcher, which makes all Jobs. */}}
{{- define "v6-node.admissionOfLauncher" -}}
- name: launcher
  expression: request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:v6-node-launcher'
{{- end }}

{{/* Binds a policy to this namespace. Takes a dict: root, what. */}}
{{- define "v6-node.admissionBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "v6-node.clusterName" . }}
  labels:
    {{- include "v6-node.labels" (dict "root" .root "component" "admission") | nindent 4 }}
spec:
  policyName: {{ include "v6-node.clusterName" . }}
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ .root.Release.Namespace | quote }}
{{- end }}

{{/* The claims of databases, as a JSON list. */}}
{{- define "v6-node.databaseClaims" -}}
{{- $claims := list -}}
{{- range include "v6-node.databasePlaces" . | fromJsonArray }}{{ with .claim }}{{ $claims = append $claims . }}{{ end }}{{ end -}}
{{- uniq $claims | toJson -}}
{{- end }}

{{/* The Secrets of databases, as a JSON list. */}}
{{- define "v6-node.databaseSecrets" -}}
{{- $secrets := list -}}
{{- range include "v6-node.databasePlaces" . | fromJsonArray }}{{ with .secret }}{{ $secrets = append $secrets .name }}{{ end }}{{ end -}}
{{- uniq $secrets | toJson -}}
{{- end }}

{{/* The labels that say which run a Job is of, or that it is a check, as a JSON list. */}}
{{- define "v6-node.runLabels" -}}
["v6-node.vantage6.ai/run-id", "v6-node.vantage6.ai/task-id", "v6-node.vantage6.ai/organization-id", "v6-node.vantage6.ai/collaboration-id", "v6-node.vantage6.ai/check"]
{{- end }}

{{/* The annotations that say whose a Job is, and for the audit what it runs, as a JSON list. */}}
{{- define "v6-node.runAnnotations" -}}
["v6-node.vantage6.ai/server", "v6-node.vantage6.ai/node-id", "v6-node.vantage6.ai/assigned-at", "v6-node.vantage6.ai/profile", "v6-node.vantage6.ai/audit"]
{{- end }}

{{/* What any profile, or `jobs` for runs without one, says of a key, as a JSON list. Takes a dict: root, key. */}}
{{- define "v6-node.saidOfJobs" -}}
{{- $said := list (get .root.Values.jobs .key) -}}
{{- range .root.Values.jobs.profiles }}{{ $said = append $said (get (. | default dict) $.key) }}{{ end -}}
{{- without $said "" nil | uniq | toJson -}}
{{- end }}

{{/* The devices that `jobs.resources` or a profile grants, each with its numbers, as JSON. */}}
{{- define "v6-node.grantedDevices" -}}
{{- $granted := dict -}}
{{- $grants := list (.Values.jobs.resources | default dict) -}}
{{- range $profile := .Values.jobs.profiles -}}
{{- with .resources }}{{ $grants = append $grants . }}{{ end -}}
{{- with .gpu }}{{ with .resource }}{{ $grants = append $grants (dict "limits" (dict . ($profile.gpu.count | default 1))) }}{{ end }}{{ end -}}
{{- end -}}
{{- range $grants -}}
{{- range $device, $amount := merge (dict) (.limits | default dict) (.requests | default dict) -}}
{{- if not (has $device (list "cpu" "memory" "ephemeral-storage")) -}}
{{- $_ := set $granted $device (append (get $granted $device | default list) (toString $amount) | uniq) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $granted -}}
{{- end }}

{{/* The ResourceClaimTemplates that profiles name, as a JSON list. */}}
{{- define "v6-node.claimTemplates" -}}
{{- $names := list -}}
{{- range .Values.jobs.profiles }}{{ $names = append $names (dig "gpu" "resourceClaimTemplateName" "" (. | default dict)) }}{{ end -}}
{{- compact $names | uniq | toJson -}}
{{- end }}

{{/* The labels with our prefix that a pod may wear, as a JSON list. */}}
{{- define "v6-node.algorithmLabels" -}}
{{- $full := append (include "v6-node.runLabels" . | fromJsonArray) "v6-node.vantage6.ai/role" -}}
{{- if eq "true" (include "v6-node.hasWhitelist" .) }}{{ $full = append $full "v6-node.vantage6.ai/whitelist" }}{{ end -}}
{{- range .Values.node.databases }}{{ if .reach }}{{ $full = append $full (include "v6-node.databaseCapability" .) }}{{ end }}{{ end -}}
{{- toJson $full -}}
{{- end }}

{{/*
The validations of one rule, as lines of a policy's spec, unless the site waives it. Takes a dict: root, rule, checks (a
list of pairs: what is said, the expression).
*/}}
{{- define "v6-node.validations" -}}
{{- if not (has .rule (.root.Values.jobs.waive | default list)) -}}
{{- range .checks -}}
{{- dict "message" (printf "%s: %s" $.rule (first .)) "expression" (last .) | list | toYaml | nindent 4 -}}
{{- end -}}
{{- end -}}
{{- end }}
