{{/* Where databases lie. One on a host path gets a PersistentVolume and a claim, one in a claim is taken as it is. */}}

{{/*
What tells the volume of a host path from others, as part of its name. A volume can't be changed once it exists, so its
name changes with what it points to: an upgrade with another path then makes a new volume instead of being refused.
Takes a database.
*/}}
{{- define "v6-node.databaseSlug" -}}
{{- $place := printf "%s %s %s" .uri .type (.nodeName | default "") -}}
{{ .label | lower | replace "_" "-" }}-{{ sha256sum $place | trunc 8 }}
{{- end }}

{{/* The claim of a database on a host path. Takes a database. */}}
{{- define "v6-node.databaseClaim" -}}
v6-node-database-{{ include "v6-node.databaseSlug" . }}
{{- end }}

{{/* PersistentVolumes belong to no namespace, so this name carries it. Takes a dict: root, database. */}}
{{- define "v6-node.databaseVolume" -}}
v6-node-{{ .root.Release.Namespace }}-{{ include "v6-node.databaseSlug" .database }}
{{- end }}

{{/* The list for the launcher: label, claim, and the path inside a claim that was there before. */}}
{{- define "v6-node.databaseClaims" -}}
{{- $claims := list -}}
{{- range .Values.node.databases -}}
{{- if .claim -}}
{{- $entry := dict "label" .label "claim" .claim -}}
{{- $path := clean .uri -}}
{{- if ne $path "." }}{{ $_ := set $entry "subPath" $path }}{{ end -}}
{{- $claims = append $claims $entry -}}
{{- else -}}
{{- $claims = append $claims (dict "label" .label "claim" (include "v6-node.databaseClaim" .)) -}}
{{- end -}}
{{- end -}}
{{- toJson $claims -}}
{{- end }}
