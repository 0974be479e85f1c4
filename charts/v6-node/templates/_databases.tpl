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

{{/* Whether a database is a service that algorithms connect to, and not a file. Takes a database. */}}
{{- define "v6-node.isService" -}}
{{ has .type (list "sql" "omop" "sparql" "other") }}
{{- end }}

{{/* The name of what belongs to a database: its Secret and its NetworkPolicy. Takes a database. */}}
{{- define "v6-node.databaseName" -}}
v6-node-database-{{ .label | lower | replace "_" "-" }}
{{- end }}

{{/* The pod label that opens the way to a database. Takes a database. */}}
{{- define "v6-node.databaseCapability" -}}
v6-node.vantage6.ai/database.{{ lower .label }}
{{- end }}

{{/* Whether a host is given by its address. */}}
{{- define "v6-node.isAddress" -}}
{{ regexMatch "^([0-9]+(\\.[0-9]+){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)$" . }}
{{- end }}

{{/* The hostnames of the SSH tunnels, as a JSON list. */}}
{{- define "v6-node.tunnelHosts" -}}
{{- $hosts := list -}}
{{- range index .Values.node "ssh-tunnels" }}{{ $hosts = append $hosts .hostname }}{{ end -}}
{{- toJson $hosts -}}
{{- end }}

{{/*
How the way to a destination is opened: `inCluster` and `tunnel` by the labels of pods, `fixed` by addresses that the values
give, `name` by addresses that the launcher looks up. Takes a dict: root, destination.
*/}}
{{- define "v6-node.reachKind" -}}
{{- if .destination.inCluster -}}
inCluster
{{- else if has .destination.host (include "v6-node.tunnelHosts" .root | fromJsonArray) -}}
tunnel
{{- else if or .destination.addresses (eq "true" (include "v6-node.isAddress" .destination.host)) -}}
fixed
{{- else -}}
name
{{- end -}}
{{- end }}

{{/*
The variables that algorithms get from a database's Secret, each with its key there, as JSON. The chart's own Secret has
the variables' names as keys. Takes a database.
*/}}
{{- define "v6-node.databaseVariables" -}}
{{- $label := upper .label -}}
{{- $variables := dict -}}
{{- if .existingSecret -}}
{{- range $name, $key := .secretKeys | default (dict "uri" "uri") -}}
{{- $_ := set $variables (eq $name "uri" | ternary (printf "%s_DATABASE_URI" $label) (printf "%s_DB_PARAM_%s" $label (upper $name))) $key -}}
{{- end -}}
{{- else -}}
{{- range $name, $text := include "v6-node.databaseTexts" . | fromJson }}{{ $_ := set $variables $name $name }}{{ end -}}
{{- end -}}
{{- toJson $variables -}}
{{- end }}

{{/* What the chart's own Secret of a database holds, by variable, as JSON. Takes a database. */}}
{{- define "v6-node.databaseTexts" -}}
{{- $label := upper .label -}}
{{- $texts := dict -}}
{{- range $name, $text := .env }}{{ $_ := set $texts (printf "%s_DB_PARAM_%s" $label (upper $name)) $text }}{{ end -}}
{{- if and (eq "true" (include "v6-node.isService" .)) .uri }}{{ $_ := set $texts (printf "%s_DATABASE_URI" $label) .uri }}{{ end -}}
{{- toJson $texts -}}
{{- end }}

{{/* The list for the launcher: where each database is, and in which Secret its variables are. */}}
{{- define "v6-node.databasePlaces" -}}
{{- $places := list -}}
{{- range .Values.node.databases -}}
{{- $place := dict "label" .label -}}
{{- if eq "true" (include "v6-node.isService" .) -}}
{{- $_ := set $place "reach" (include "v6-node.databaseReach" (dict "root" $ "database" .) | fromJsonArray) -}}
{{- else if .claim -}}
{{- $_ := set $place "claim" .claim -}}
{{- $path := clean .uri -}}
{{- if ne $path "." }}{{ $_ := set $place "subPath" $path }}{{ end -}}
{{- else -}}
{{- $_ := set $place "claim" (include "v6-node.databaseClaim" .) -}}
{{- end -}}
{{- with include "v6-node.databaseVariables" . | fromJson -}}
{{- $_ := set $place "secret" (dict "variables" .) -}}
{{- end -}}
{{- if $place.secret }}{{ $_ := set $place.secret "name" (.existingSecret | default (include "v6-node.databaseName" .)) }}{{ end -}}
{{- $places = append $places $place -}}
{{- end -}}
{{- toJson $places -}}
{{- end }}

{{/* Where a database is reached, for the launcher, as JSON. Takes a dict: root, database. */}}
{{- define "v6-node.databaseReach" -}}
{{- $reach := list -}}
{{- $name := include "v6-node.databaseName" .database -}}
{{- range .database.reach -}}
{{- $entry := dict "host" .host "port" (int .port) -}}
{{- $kind := include "v6-node.reachKind" (dict "root" $.root "destination" .) -}}
{{- if .addresses }}{{ $_ := set $entry "addresses" .addresses }}{{ end -}}
{{- if eq $kind "tunnel" }}{{ $_ := set $entry "service" (printf "v6-node-tunnel-%s" .host) }}{{ end -}}
{{- if eq $kind "name" }}{{ $_ := set $entry "policy" (printf "%s-names" $name) }}{{ end -}}
{{- $reach = append $reach $entry -}}
{{- end -}}
{{- toJson $reach -}}
{{- end }}

{{/* The NetworkPolicies whose rules the launcher keeps, as JSON. */}}
{{- define "v6-node.namePolicies" -}}
{{- $names := list -}}
{{- range .Values.node.databases -}}
{{- range include "v6-node.databaseReach" (dict "root" $ "database" .) | fromJsonArray -}}
{{- with .policy }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- uniq $names | toJson -}}
{{- end }}
