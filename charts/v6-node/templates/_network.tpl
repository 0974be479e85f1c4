{{/* Rules that the NetworkPolicies of launcher and proxy share. Each is preceded by its direction. */}}

{{/* The port on which the server answers. */}}
{{- define "v6-node.serverPort" -}}
{{- if .Values.node.port -}}
{{ int .Values.node.port }}
{{- else -}}
{{ ternary 443 80 (hasPrefix "https:" .Values.node.server_url) }}
{{- end -}}
{{- end }}

{{/*
Peers by address. Where no addresses are given the caller leaves `to` out, which means any: 0.0.0.0/0 would not do, as
plugins like Cilium don't count the cluster's own machines among it. Takes a list of CIDRs.
*/}}
{{- define "v6-node.toAddresses" -}}
to:
  {{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
{{- end }}

{{/* Egress of the launcher to what the values give by addresses and ports. Takes a dict: to (in words), peers. */}}
{{- define "v6-node.egressPeers" -}}
# launcher --> {{ .to }}
- ports:
    {{- range .peers.ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with .peers.cidrs }}
  {{- include "v6-node.toAddresses" . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Egress to the cluster's DNS. Takes a dict: root, component. */}}
{{- define "v6-node.egressDns" -}}
{{- with .root.Values.network.dns -}}
# {{ $.component }} --> cluster DNS
- ports:
    - {protocol: UDP, port: {{ int .port }}}
    - {protocol: TCP, port: {{ int .port }}}
  to:
    - namespaceSelector:
        matchLabels:
          {{- toYaml .namespaceSelector | nindent 10 }}
      podSelector:
        matchLabels:
          {{- toYaml .podSelector | nindent 10 }}
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* Ingress of what collects metrics, on the port that has nothing else. Takes a dict: root, component. */}}
{{- define "v6-node.ingressScraper" -}}
{{- with .root.Values.monitoring.scraper -}}
{{- if .namespaceSelector -}}
# scraper --> {{ $.component }}
- ports:
    - {protocol: TCP, port: 8082}
  from:
    - namespaceSelector:
        matchLabels:
          {{- toYaml .namespaceSelector | nindent 10 }}
      {{- with .podSelector }}
      podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
      {{- end }}
{{- end -}}
{{- end -}}
{{- end }}
