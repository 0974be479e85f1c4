{{/* Logins for registries, and who is asked for digests. */}}

{{/* The Secrets with logins, in their order of precedence, as a JSON list: algorithms are pulled with them. */}}
{{- define "v6-node.algorithmPullSecrets" -}}
{{- $names := list -}}
{{- range .Values.node.docker_registries -}}
{{- $names = append $names (.existingSecret | default "v6-node-registries") -}}
{{- end -}}
{{- concat $names (.Values.imagePullSecrets | default list) | uniq | toJson -}}
{{- end }}

{{/* Whether the launcher asks registries, and so has their logins and a way to them. */}}
{{- define "v6-node.asksRegistries" -}}
{{- if .Values.node.policies.require_algorithm_pull }}true{{ end -}}
{{- end }}

{{/* The launcher's copy of the logins: a file for each Secret. A Secret that pods are pulled with may be missing. */}}
{{- define "v6-node.loginSources" -}}
{{- $sources := list -}}
{{- range $index, $name := include "v6-node.algorithmPullSecrets" . | fromJsonArray -}}
{{- $item := dict "key" ".dockerconfigjson" "path" (printf "%03d.json" $index) -}}
{{- $sources = append $sources (dict "secret" (dict "name" $name "optional" true "items" (list $item))) -}}
{{- end -}}
{{- toJson $sources -}}
{{- end }}

{{/* The `auths` of the logins that are given inline, as JSON. */}}
{{- define "v6-node.inlineLogins" -}}
{{- $auths := dict -}}
{{- range .Values.node.docker_registries -}}
{{- if .registry -}}
{{- $auth := printf "%s:%s" .username .password | b64enc -}}
{{- $_ := set $auths .registry (dict "username" .username "password" .password "auth" $auth) -}}
{{- end -}}
{{- end -}}
{{- toJson $auths -}}
{{- end }}
