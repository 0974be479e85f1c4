{{/* What of profiles, and of the rules that choose them, values.schema.json can't say. */}}

{{- define "v6-node.faults.profileRules" -}}
{{- $jobs := .Values.jobs -}}
{{- $known := printf "jobs.profiles has %s" (keys $jobs.profiles | sortAlpha | join ", " | default "none") -}}
{{- $labels := list -}}
{{- range .Values.node.databases }}{{ $labels = append $labels .label }}{{ end -}}
{{- $devices := list -}}
{{- range $index, $rule := $jobs.profileRules -}}
{{- $path := printf "jobs.profileRules[%d]" $index -}}
{{- $devices = concat $devices (.devices | default list) -}}
{{- if not (hasKey $jobs.profiles .profile) }}
{{ $path }}.profile {{ .profile | quote }} is no profile; {{ $known }}.
{{- else if and .devices (not (get $jobs.profiles .profile | default dict).gpu) }}
{{ $path }}.profile {{ .profile | quote }} grants no GPU to runs that ask for one; set jobs.profiles.{{ .profile }}.gpu, or name another profile.
{{- end -}}
{{- if not (omit . "profile") }}
{{ $path }} has no condition and so holds for every run; set jobs.defaultProfile instead.
{{- end -}}
{{- range .databases }}{{ if not (has . $labels) }}
{{ $path }}.databases: {{ . | quote }} is the label of no database; node.databases has {{ $labels | join ", " | default "none" }}.
{{- end }}{{ end -}}
{{- range .images }}{{ if regexMatch "^[*+?]" . }}
{{ $path }}.images: {{ . | quote }} is no regular expression; write ^registry[.]example[.]org/trial/ for all below a path.
{{- end }}{{ end -}}
{{- end -}}
{{- if and $jobs.defaultProfile (not (hasKey $jobs.profiles $jobs.defaultProfile)) }}
jobs.defaultProfile {{ $jobs.defaultProfile | quote }} is no profile; {{ $known }}.
{{- end -}}
{{- if and .Values.node.algorithm_device_requests.gpu (not $devices) }}
node.algorithm_device_requests.gpu is true, but no rule of jobs.profileRules has devices: [gpu], so no algorithm would get one; add a rule whose profile has a gpu, or set it to false.
{{- end -}}
{{- end }}

{{- define "v6-node.faults.profiles" -}}
{{- $usual := .Values.jobs.resources -}}
{{- range $name, $profile := .Values.jobs.profiles -}}
{{- $path := printf "jobs.profiles.%s" $name -}}
{{- with $profile -}}
{{- if and .template (eq $.Values.server.protocol "poc") }}
{{ $path }}.template {{ .template | quote }} can't be used with server.protocol "poc", which has a template of its own; leave it out.
{{- end -}}
{{- if hasPrefix "system-" (.priorityClassName | default "") }}
{{ $path }}.priorityClassName {{ .priorityClassName | quote }} is for what the cluster lives on, which algorithms would drive out; name a PriorityClass of your own.
{{- end -}}
{{- range $variable, $text := .env }}{{ if or (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $variable)) (eq $variable "PKG_NAME") }}
{{ $path }}.env: {{ $variable | quote }} can't be a variable of an algorithm; use letters, digits and underscores, and not PKG_NAME, which belongs to the image.
{{- end }}{{ end -}}
{{- $limit := dig "resources" "limits" "memory" (dig "limits" "memory" "" $usual) . | toString -}}
{{- $request := dig "resources" "requests" "memory" (dig "requests" "memory" "" $usual) . | toString -}}
{{- $bytes := list (include "v6-node.bytes" $limit) (include "v6-node.bytes" $request) -}}
{{- if and .resources (first $bytes) (last $bytes) (lt (float64 (first $bytes)) (float64 (last $bytes))) }}
{{ $path }}.resources.limits.memory {{ $limit | quote }} is less than requests.memory {{ $request | quote }}; what a profile does not say is as jobs.resources says, so give both.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
RuntimeClasses and PriorityClasses belong to the cluster, where the launcher may read nothing, and ResourceClaimTemplates are
none of its business: they are looked for with the rights of whoever installs. Without a cluster (`helm template`, `helm lint`) nothing can be looked up.
*/}}
{{- define "v6-node.faults.classes" -}}
{{- if .Values.jobs.lookUpClasses -}}
{{- $named := list (list "jobs.priorityClassName" "PriorityClass" .Values.jobs.priorityClassName) -}}
{{- range $name, $profile := .Values.jobs.profiles -}}
{{- with $profile -}}
{{- $named = append $named (list (printf "jobs.profiles.%s.priorityClassName" $name) "PriorityClass" .priorityClassName) -}}
{{- $named = append $named (list (printf "jobs.profiles.%s.runtimeClassName" $name) "RuntimeClass" .runtimeClassName) -}}
{{- $named = append $named (list (printf "jobs.profiles.%s.gpu.resourceClaimTemplateName" $name) "ResourceClaimTemplate" (.gpu | default dict).resourceClaimTemplateName) -}}
{{- end -}}
{{- end -}}
{{- $versions := dict "PriorityClass" "scheduling.k8s.io/v1" "RuntimeClass" "node.k8s.io/v1" "ResourceClaimTemplate" "resource.k8s.io/v1" -}}
{{- range $named -}}
{{- if last . -}}
{{- $path := first . }}{{ $kind := index . 1 }}{{ $name := last . -}}
{{- $of := eq $kind "ResourceClaimTemplate" | ternary "namespace" "cluster" -}}
{{- with lookup (get $versions $kind) $kind (eq $of "namespace" | ternary $.Release.Namespace "") "" -}}
{{- $there := list -}}
{{- range .items }}{{ $there = append $there .metadata.name }}{{ end -}}
{{- if not (has $name $there) }}
{{ $path }} {{ $name | quote }} is no {{ $kind }} of this {{ $of }}, which has {{ $there | sortAlpha | join ", " | default "none" }}; correct the name, or make it first.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
