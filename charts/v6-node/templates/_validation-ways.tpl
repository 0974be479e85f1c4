{{/* Rules for the ways that values open beside databases: each prints one line for each fault. */}}

{{/* Whether a text is a host's name in lower case. */}}
{{- define "v6-node.isHostname" -}}
{{ regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" . }}
{{- end }}

{{- define "v6-node.faults.whitelist" -}}
{{- with .Values.node.whitelist -}}
{{- range $index, $domain := .domains -}}
{{- if or (ne "true" (include "v6-node.isHostname" (trimPrefix "." $domain))) (eq "true" (include "v6-node.isAddress" $domain)) }}
node.whitelist.domains[{{ $index }}] {{ $domain | quote }} is not a host's name in lower case; leave out scheme, port and path, begin it with a dot to include all names below it, and put addresses into node.whitelist.ips.
{{- end -}}
{{- end -}}
{{- range $index, $address := .ips -}}
{{- if ne "true" (include "v6-node.isAddress" (first (splitList "/" $address))) }}
node.whitelist.ips[{{ $index }}] {{ $address | quote }} is not an address or a network; write it like 203.0.113.7 or 203.0.113.0/24.
{{- end -}}
{{- end -}}
{{- range $index, $pair := .destinations -}}
{{- if not (or (eq "true" (include "v6-node.isHostname" $pair.host)) (eq "true" (include "v6-node.isAddress" $pair.host))) }}
node.whitelist.destinations[{{ $index }}].host {{ $pair.host | quote }} is neither a host's name, in lower case, nor an address; leave out scheme, port and path.
{{- end -}}
{{- end -}}
{{- if and .ports (not (or .domains .ips)) }}
node.whitelist.ports {{ toJson .ports }} belong to no host; list domains or ips, or leave ports out.
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.tunnels" -}}
{{- $root := . -}}
{{- $seen := dict -}}
{{- range $index, $tunnel := index .Values.node "ssh-tunnels" -}}
{{- $key := printf "node.ssh-tunnels[%d]" $index -}}
{{- $identity := .ssh.identity -}}
{{- if has .hostname (list "localhost" "proxyserver" "squid") }}
{{ $key }}.hostname {{ .hostname | quote }} is a name that algorithms have already; choose another.
{{- end -}}
{{- if hasKey $seen .hostname }}
{{ $key }}.hostname {{ .hostname | quote }} is that of node.ssh-tunnels[{{ get $seen .hostname }}] too; choose another.
{{- end -}}
{{- $_ := set $seen .hostname $index -}}
{{- if not (include "v6-node.databasesBehind" (dict "root" $root "hostname" .hostname) | fromJsonArray) }}
{{ $key }}.hostname {{ .hostname | quote }} is in no database's reach, so no algorithm could use the tunnel; add it to one, or leave the tunnel out.
{{- end -}}
{{- if not (regexMatch "^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*$" (trim .ssh.fingerprint)) }}
{{ $key }}.ssh.fingerprint is not a public key such as "ssh-ed25519 AAAA…"; copy the key's type and text from `ssh-keyscan {{ .ssh.host }}`, without the host in front.
{{- end -}}
{{- if and $identity.key $identity.existingSecret }}
{{ $key }}.ssh.identity: key and existingSecret {{ $identity.existingSecret | quote }} are both given; keep one of them.
{{- else if not (or $identity.key $identity.existingSecret) }}
{{ $key }}.ssh.identity has no key; give the text of the private key, or existingSecret with the key ssh-privatekey.
{{- else if and $identity.key (not (hasPrefix "-----BEGIN " (trim $identity.key))) }}
{{ $key }}.ssh.identity.key is not the text of a private key; give what the file contains (it begins with -----BEGIN), not its path.
{{- end -}}
{{- if lt (int .tunnel.bind.port) 1024 }}
{{ $key }}.tunnel.bind.port {{ int .tunnel.bind.port }} is one that only root may listen on; choose 1024 or more.
{{- end -}}
{{- if ne (.tunnel.bind.ip | default "0.0.0.0") "0.0.0.0" }}
{{ $key }}.tunnel.bind.ip {{ .tunnel.bind.ip | quote }} has no meaning here: algorithms reach the tunnel by its hostname; leave it out, or set it to 0.0.0.0.
{{- end -}}
{{- range $number, $database := $root.Values.node.databases -}}
{{- range $place, $destination := $database.reach -}}
{{- if and (eq $destination.host $tunnel.hostname) (ne (int $destination.port) (int $tunnel.tunnel.bind.port)) }}
node.databases[{{ $number }}].reach[{{ $place }}].port {{ int $destination.port }} is not the port of SSH tunnel {{ $tunnel.hostname | quote }}; set it to {{ int $tunnel.tunnel.bind.port }}, its tunnel.bind.port.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
