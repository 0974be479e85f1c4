{{/* The egress proxy: what it lets through, and nothing else (http://www.squid-cache.org/Doc/config/). */}}

{{/* The ports of the whitelist, as a JSON list: those of the web where none are given. */}}
{{- define "v6-node.whitelistPorts" -}}
{{- .Values.node.whitelist.ports | default (list 80 443) | toJson -}}
{{- end }}

{{/* Every port that the egress proxy may connect to, as a JSON list. */}}
{{- define "v6-node.egressPorts" -}}
{{- $whitelist := .Values.node.whitelist -}}
{{- $ports := list -}}
{{- if or $whitelist.domains $whitelist.ips }}{{ $ports = include "v6-node.whitelistPorts" . | fromJsonArray }}{{ end -}}
{{- range $whitelist.destinations }}{{ $ports = append $ports .port }}{{ end -}}
{{- $whole := list -}}
{{- range $ports }}{{ $whole = append $whole (int .) }}{{ end -}}
{{- uniq $whole | toJson -}}
{{- end }}

{{/*
The configuration of squid. Hosts are compared as they are asked for (`-n`: no look-ups), so that a name that no rule has is
never looked up: a look-up carries data out.
*/}}
{{- define "v6-node.squid" -}}
{{- $whitelist := .Values.node.whitelist -}}
http_port 3128
visible_hostname v6-node-egress
# Wherever a name on the list points to: never to this pod, its machine, or the cloud's metadata service.
acl machine dst 0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 ::1/128 fe80::/10
{{- if or $whitelist.domains $whitelist.ips }}
acl ports port {{ include "v6-node.whitelistPorts" . | fromJsonArray | join " " }}
{{- end }}
{{- with $whitelist.domains }}
acl domains dstdomain -n {{ join " " . }}
http_access allow domains ports !machine
{{- end }}
{{- with $whitelist.ips }}
acl addresses dst -n {{ join " " . }}
http_access allow addresses ports !machine
{{- end }}
{{- range $index, $pair := $whitelist.destinations }}
{{- $kind := ternary "dst" "dstdomain" (eq "true" (include "v6-node.isAddress" .host)) }}
acl host{{ $index }} {{ $kind }} -n {{ .host }}
acl port{{ $index }} port {{ int .port }}
http_access allow host{{ $index }} port{{ $index }} !machine
{{- end }}
http_access deny all
# Nothing is kept, and nothing is told about who asks.
cache deny all
cache_mem 0 MB
memory_pools off
forwarded_for delete
via off
pinger_enable off
netdb_filename none
pid_filename none
coredump_dir /tmp
logfile_rotate 0
shutdown_lifetime 1 second
access_log stdio:/dev/stdout
cache_log /dev/stderr
{{- end }}
