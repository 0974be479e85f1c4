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
{{- if eq "true" (include "v6-node.isService" .) -}}
{{- include "v6-node.faults.databaseService" (dict "root" $ "key" $key "database" .) -}}
{{- else -}}
{{- include "v6-node.faults.databaseFile" (dict "key" $key "database" .) -}}
{{- end -}}
{{- range $name, $text := .env -}}
{{- if not (regexMatch "^[A-Za-z0-9_]+$" $name) }}
{{ $key }}.env: {{ $name | quote }} can't be part of a variable's name; use letters, digits and underscores.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes a dict: root, key, database. */}}
{{- define "v6-node.faults.databaseService" -}}
{{- $key := .key -}}
{{- $root := .root -}}
{{- $database := .database -}}
{{- range $name := list "claim" "nodeName" -}}
{{- if get $database $name }}
{{ $key }}.{{ $name }} {{ get $database $name | quote }} has no meaning for type {{ $database.type }}, which algorithms connect to; leave it out.
{{- end -}}
{{- end -}}
{{- with $database -}}
{{- if and .existingSecret (or .uri .env) }}
{{ $key }}: existingSecret {{ .existingSecret | quote }} is given beside uri or env; put everything into the Secret and name its keys in secretKeys, or leave existingSecret out.
{{- else if not (or .existingSecret .uri) }}
{{ $key }}.uri is missing; give what algorithms connect to, or existingSecret with the key uri.
{{- end -}}
{{- if and .secretKeys (not .existingSecret) }}
{{ $key }}.secretKeys are keys of existingSecret, which is not given; name the Secret, or leave secretKeys out.
{{- end -}}
{{- range $name, $text := .secretKeys -}}
{{- if not (regexMatch "^[A-Za-z0-9_]+$" $name) }}
{{ $key }}.secretKeys: {{ $name | quote }} can't be part of a variable's name; use letters, digits and underscores.
{{- end -}}
{{- end -}}
{{- if not .reach }}
{{ $key }}.reach is empty, so no algorithm could connect to database {{ .label | quote }}; list its hosts and ports, for example [{host: registry.example.org, port: 5432}].
{{- end -}}
{{- range $index, $destination := .reach -}}
{{- include "v6-node.faults.destination" (dict "root" $root "key" (printf "%s.reach[%d]" $key $index) "destination" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes a dict: root, key, destination. */}}
{{- define "v6-node.faults.destination" -}}
{{- $key := .key -}}
{{- $isAddress := eq "true" (include "v6-node.isAddress" .destination.host) -}}
{{- $tunnels := include "v6-node.tunnelHosts" .root | fromJsonArray -}}
{{- with .destination -}}
{{- if not (or $isAddress (eq "true" (include "v6-node.isHostname" .host))) }}
{{ $key }}.host {{ .host | quote }} is neither a host's name, in lower case, nor an address; leave out scheme, port and path.
{{- end -}}
{{- if has .host (list "localhost" "proxyserver" "squid") }}
{{ $key }}.host {{ .host | quote }} is a name that algorithms have already; give the database's own name.
{{- end -}}
{{- if and .addresses .inCluster }}
{{ $key }}: addresses and inCluster are both given; keep inCluster for pods of this cluster, addresses for hosts beyond it.
{{- end -}}
{{- if and .addresses $isAddress }}
{{ $key }}.host {{ .host | quote }} is an address already; leave addresses out, or give the name that algorithms use as host.
{{- end -}}
{{- if and (has .host $tunnels) (or .addresses .inCluster) }}
{{ $key }}.host {{ .host | quote }} is the hostname of an SSH tunnel, whose place is known; leave addresses and inCluster out.
{{- end -}}
{{- range .addresses -}}
{{- if ne "true" (include "v6-node.isAddress" .) }}
{{ $key }}.addresses: {{ . | quote }} is not an address; give numbers such as 203.0.113.7, or leave addresses out to have the host looked up.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes a dict: key, database. */}}
{{- define "v6-node.faults.databaseFile" -}}
{{- $key := .key -}}
{{- $database := .database -}}
{{- range $name := list "existingSecret" "secretKeys" "reach" -}}
{{- if get $database $name }}
{{ $key }}.{{ $name }} has no meaning for type {{ $database.type }}, which is a file; leave it out, or choose the type of a service.
{{- end -}}
{{- end -}}
{{- if not .database.uri }}
{{ $key }}.uri is missing; give the path of the {{ .database.type }}.
{{- else -}}
{{- include "v6-node.faults.databasePath" . -}}
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
