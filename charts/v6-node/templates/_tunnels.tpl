{{/* SSH tunnels: each is a pod that algorithms of some databases reach under its hostname. */}}

{{/* The name of everything that belongs to a tunnel. Takes a tunnel. */}}
{{- define "v6-node.tunnelName" -}}
v6-node-tunnel-{{ .hostname }}
{{- end }}

{{/* The Secret with a tunnel's private key. Takes a tunnel. */}}
{{- define "v6-node.tunnelSecret" -}}
{{ .ssh.identity.existingSecret | default (include "v6-node.tunnelName" .) }}
{{- end }}

{{/* The labels of the databases that are behind a tunnel, as a JSON list. Takes a dict: root, hostname. */}}
{{- define "v6-node.databasesBehind" -}}
{{- $labels := list -}}
{{- range $database := .root.Values.node.databases -}}
{{- range .reach }}{{ if eq .host $.hostname }}{{ $labels = append $labels $database.label }}{{ end }}{{ end -}}
{{- end -}}
{{- uniq $labels | toJson -}}
{{- end }}

{{/* Which pods are a tunnel's. Takes a dict: root, tunnel. */}}
{{- define "v6-node.tunnelSelector" -}}
{{ include "v6-node.selector" (dict "root" .root "component" "tunnel") }}
v6-node.vantage6.ai/tunnel: {{ .tunnel.hostname | quote }}
{{- end }}

{{/*
The files of a tunnel, in its ConfigMap: the server's key, the only one that is accepted; and who the pod runs as, as ssh
wants a name for its user. Takes a dict: root, tunnel.
*/}}
{{- define "v6-node.tunnelFiles" -}}
known_hosts: |
  tunnel {{ .tunnel.ssh.fingerprint | trim }}
{{- with .root.Values.securityContext.runAsUser }}
passwd: |
  node:x:{{ int64 . }}:{{ int64 ($.root.Values.securityContext.runAsGroup | default .) }}::/tmp:/usr/sbin/nologin
{{- end }}
{{- end }}

{{/* What ssh is told, as a JSON list. The port that is forwarded opens when the server accepted the key. Takes a tunnel. */}}
{{- define "v6-node.tunnelArguments" -}}
{{- $bind := .tunnel.bind -}}
{{- $dest := .tunnel.dest -}}
{{- $destHost := ternary (printf "[%s]" $dest.ip) $dest.ip (contains ":" $dest.ip) -}}
{{- $options := list "BatchMode=yes" "ConnectTimeout=10" "ExitOnForwardFailure=yes" "GlobalKnownHostsFile=/dev/null" "HostKeyAlias=tunnel" "IdentitiesOnly=yes" "ServerAliveCountMax=3" "ServerAliveInterval=5" "StrictHostKeyChecking=yes" "UpdateHostKeys=no" "UserKnownHostsFile=/etc/v6-node/known_hosts" -}}
{{- $arguments := list "-F" "none" "-N" "-T" -}}
{{- range $options }}{{ $arguments = concat $arguments (list "-o" .) }}{{ end -}}
{{- $forward := printf "*:%d:%s:%d" (int $bind.port) $destHost (int $dest.port) -}}
{{- concat $arguments (list "-i" "/run/secrets/v6-node/ssh-privatekey" "-p" (toString (int (.ssh.port | default 22))) "-L" $forward "-l" .ssh.identity.username "--" .ssh.host) | toJson -}}
{{- end }}
