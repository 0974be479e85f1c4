{{/* Rules for node.databases: each prints one line for each fault. */}}

{{- define "v6-node.faults.databases" -}}
{{- $seen := dict -}}
{{- range $index, $database := .Values.node.databases -}}
{{- $key := printf "node.databases[%d]" $index -}}
{{- $folded := lower .label -}}
{{- if not (regexMatch "^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$" .label) }}
{{ $key }}.label {{ .label | quote }} is not a label; begin with a letter, use letters, digits and underscores, and don't end with an underscore.
{{- end -}}
{{- if and (eq .type "folder") (has .label (list "data" "tmp")) }}
{{ $key }}.label {{ .label | quote }} is taken: algorithms have a folder /mnt/{{ .label }} already; choose another label.
{{- end -}}
{{- if hasKey $seen $folded }}
{{ $key }}.label {{ .label | quote }} is that of node.databases[{{ get $seen $folded }}] too, as case doesn't tell labels apart; choose another label.
{{- end -}}
{{- $_ := set $seen $folded $index -}}
{{- include "v6-node.faults.databasePath" (dict "key" $key "database" .) -}}
{{- range $name, $text := .env -}}
{{- if not (regexMatch "^[A-Za-z0-9_]+$" $name) }}
{{ $key }}.env: {{ $name | quote }} can't be part of a variable's name; use letters, digits and underscores.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes a dict: key, database. */}}
{{- define "v6-node.faults.databasePath" -}}
{{- $key := .key -}}
{{- with .database -}}
{{- $climbs := has ".." (splitList "/" .uri) -}}
{{- if .claim -}}
{{- if or (hasPrefix "/" .uri) $climbs }}
{{ $key }}.uri {{ .uri | quote }} is not a path inside claim {{ .claim | quote }}; give it relative to the volume's root, without a leading slash and without "..".
{{- end -}}
{{- if and (ne .type "folder") (eq (clean .uri) ".") }}
{{ $key }}.uri {{ .uri | quote }} is a folder, but type is {{ .type }}; give the path of the file inside claim {{ .claim | quote }}.
{{- end -}}
{{- if .nodeName }}
{{ $key }}.nodeName {{ .nodeName | quote }} has no meaning beside claim {{ .claim | quote }}, whose volume knows its machines; leave nodeName out.
{{- end -}}
{{- else if or (not (hasPrefix "/" .uri)) $climbs (eq (clean .uri) "/") }}
{{ $key }}.uri {{ .uri | quote }} is not an absolute path on the cluster's machines; begin it with a slash and leave out "..", or name the claim that the path is in.
{{- end -}}
{{- end -}}
{{- end }}
