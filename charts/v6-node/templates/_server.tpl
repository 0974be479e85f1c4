{{/* How launcher and proxy get to the vantage6 server: whose certificates they believe, through which HTTP proxy. */}}

{{/* The file in which the pods find the server's own authority, or nothing. */}}
{{- define "v6-node.serverCa" -}}
{{- with .Values.network.server.ca -}}
{{- if or .pem .existingConfigMap .existingSecret }}/etc/v6-node-server/ca.crt{{ end -}}
{{- end -}}
{{- end }}

{{/* The section of the configuration file. */}}
{{- define "v6-node.serverSection" -}}
transport: {{ .Values.network.server.transport }}
ca: {{ include "v6-node.serverCa" . | default "null" }}
{{- end }}

{{/* The volume with the authority. */}}
{{- define "v6-node.serverVolume" -}}
{{- if include "v6-node.serverCa" . -}}
{{- with .Values.network.server.ca -}}
- name: server-ca
  projected:
    sources:
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
      {{- else }}
      - configMap:
          name: {{ .existingConfigMap | default "v6-node-server-ca" }}
      {{- end }}
          items:
            - {key: {{ ternary "ca.crt" .key (not (empty .pem)) | quote }}, path: ca.crt}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where it is mounted. */}}
{{- define "v6-node.serverMount" -}}
{{- if include "v6-node.serverCa" . -}}
- {name: server-ca, mountPath: /etc/v6-node-server, readOnly: true}
{{- end -}}
{{- end }}

{{/*
The variables that tell of the HTTP proxy. socket.io over a websocket asks for those of `ws` and `wss`. The API server is
never reached through it.
*/}}
{{- define "v6-node.httpProxyVariables" -}}
{{- with .Values.network.httpProxy -}}
{{- if .url -}}
{{- range list "HTTP_PROXY" "HTTPS_PROXY" "WS_PROXY" "WSS_PROXY" }}
- name: {{ . }}
  {{- if $.Values.network.httpProxy.existingSecret }}
  valueFrom: {secretKeyRef: {name: {{ $.Values.network.httpProxy.existingSecret }}, key: url}}
  {{- else }}
  value: {{ $.Values.network.httpProxy.url | quote }}
  {{- end }}
{{- end }}
- {name: NO_PROXY, value: "localhost,127.0.0.1,::1,$(KUBERNETES_SERVICE_HOST)"}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The port of the HTTP proxy. */}}
{{- define "v6-node.httpProxyPort" -}}
{{- $host := get (urlParse .Values.network.httpProxy.url) "host" -}}
{{ regexFind ":[0-9]+$" $host | trimPrefix ":" | default "80" }}
{{- end }}

{{/* Egress to the server, or to the HTTP proxy before it. Takes a dict: root, component. */}}
{{- define "v6-node.egressServer" -}}
{{- $network := .root.Values.network -}}
{{- if $network.httpProxy.url -}}
# {{ .component }} --> HTTP proxy before the vantage6 server
- ports:
    - {protocol: TCP, port: {{ include "v6-node.httpProxyPort" .root }}}
  {{- with $network.httpProxy.cidrs }}
  {{- include "v6-node.toAddresses" . | nindent 2 }}
  {{- end }}
{{- else -}}
# {{ .component }} --> vantage6 server
- ports:
    {{- range $network.server.ports | default (list (include "v6-node.serverPort" .root)) }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $network.server.cidrs }}
  {{- include "v6-node.toAddresses" . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.serverAccess" -}}
{{- $ca := .Values.network.server.ca -}}
{{- $given := list -}}
{{- range list "pem" "existingConfigMap" "existingSecret" }}{{ if get $ca . }}{{ $given = append $given . }}{{ end }}{{ end -}}
{{- if gt (len $given) 1 }}
network.server.ca: {{ join " and " $given }} are given together; keep one of them.
{{- end -}}
{{- if and $ca.pem (not (regexMatch "^\\s*(#.*\\s+)*-----BEGIN CERTIFICATE-----" $ca.pem)) }}
network.server.ca.pem is not the text of a certificate; give what the file contains (it begins with -----BEGIN CERTIFICATE-----), not its path, and no private key.
{{- end -}}
{{- if and $given (hasPrefix "http:" .Values.node.server_url) }}
network.server.ca is given, but node.server_url {{ .Values.node.server_url | quote }} is not https; change the address, or leave the authority out.
{{- end -}}
{{- with .Values.network.httpProxy -}}
{{- if contains "@" .url }}
network.httpProxy.url has a name or password in it; put the whole address into a Secret with the key url, name it in network.httpProxy.existingSecret, and leave them out here.
{{- else if and .url (not (regexMatch "^http://([^]/\\s:@?#[]+|\\[[0-9a-fA-F:]+\\])(:[0-9]+)?$" .url)) }}
network.httpProxy.url {{ .url | quote }} is not just http://, a host and a port; write it like http://proxy.example.org:3128.
{{- end -}}
{{- if and (not .url) (or .existingSecret .cidrs) }}
network.httpProxy.url is empty, but existingSecret or cidrs are given; add the address without name and password, as its port is opened.
{{- end -}}
{{- end -}}
{{- end }}
