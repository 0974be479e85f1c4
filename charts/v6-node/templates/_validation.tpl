{{/*
What values.schema.json can't say: rules over several keys, and rules whose remedy deserves a sentence. Each helper
prints one line for each fault; all faults are shown at once. No sentence repeats the API key or the private key.
*/}}

{{- define "v6-node.validate" -}}
{{- $rules := list "ownNamespace" "apiKey" "protocol" "server" "serverAccess" "policies" "encryption" "databases" "taskVolume" "whitelist" "tunnels" "variables" "labels" "proxyBudget" "templateNames" "resources" "quota" "kueue" "profileRules" "profiles" "classes" "isolation" "monitoring" -}}
{{- $lines := list -}}
{{- range $rules -}}
{{- with include (printf "v6-node.faults.%s" .) $ | trim }}{{ $lines = append $lines . }}{{ end -}}
{{- end -}}
{{- with $lines }}{{ fail (printf "\n%s\n" (join "\n" .)) }}{{ end -}}
{{- end }}

{{/* One release, one namespace of its own. Without a cluster (`helm template`, `helm lint`) nothing can be looked up. */}}
{{- define "v6-node.faults.ownNamespace" -}}
{{- $namespace := .Release.Namespace -}}
{{- with lookup "v1" "ConfigMap" $namespace "v6-node-config" -}}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" . -}}
{{- if and $owner (ne $owner $.Release.Name) }}
Namespace {{ $namespace }} already has the vantage6 node of release {{ $owner | quote }}; install release {{ $.Release.Name | quote }} into a namespace of its own, with --namespace.
{{- end -}}
{{- end -}}
{{- $shared := has $namespace (list "default" "kube-system" "kube-public" "kube-node-lease") -}}
{{- if and $shared (lookup "v1" "Namespace" "" $namespace) }}
Namespace {{ $namespace }} is not the node's own, and this chart denies all other traffic in its namespace; choose another, with --namespace and --create-namespace.
{{- end -}}
{{- end }}

{{- define "v6-node.faults.apiKey" -}}
{{- $key := .Values.node.api_key -}}
{{- if and $key .Values.existingSecret }}
node.api_key and existingSecret ({{ .Values.existingSecret | quote }}) are both given; keep one of them.
{{- else if and (ne .Values.server.protocol "poc") (not (or $key .Values.existingSecret)) }}
node.api_key and existingSecret are both empty; set existingSecret to the name of a Secret with the key api_key, or node.api_key to the key itself.
{{- else if and $key (not (regexMatch "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$" $key)) }}
node.api_key is not a UUID; copy the key that the server showed when the node was registered.
{{- end -}}
{{- end }}

{{/* The proof of concept has neither a login nor encryption. */}}
{{- define "v6-node.faults.protocol" -}}
{{- if eq .Values.server.protocol "poc" -}}
{{- if or .Values.node.api_key .Values.existingSecret }}
{{ ternary "node.api_key" "existingSecret" (not (empty .Values.node.api_key)) }} has no meaning with server.protocol "poc", which has no login; leave it out, or set server.protocol to v4.
{{- end -}}
{{- if .Values.node.encryption.enabled }}
node.encryption.enabled is true, but server.protocol "poc" knows no encryption; set it to false, or set server.protocol to v4.
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.server" -}}
{{- $url := .Values.node.server_url -}}
{{- $path := .Values.node.api_path -}}
{{- if not $url }}
node.server_url is empty; set it to the scheme and host of the vantage6 server, for example https://vantage6.example.org.
{{- else if not (regexMatch "^https?://([^]/\\s:@?#[]+|\\[[0-9a-fA-F:]+\\])$" $url) }}
node.server_url {{ $url | quote }} is not just http:// or https:// and a host; leave out the port (node.port has it), the path (node.api_path has it) and a slash at the end.
{{- end -}}
{{- if not (regexMatch "^(/[^/\\s?#]+)*$" $path) }}
node.api_path {{ $path | quote }} is not a path like /api; begin it with a slash and end it without one, or leave it empty.
{{- end -}}
{{- end }}

{{- define "v6-node.faults.encryption" -}}
{{- with .Values.node.encryption -}}
{{- if and .private_key .existingSecret }}
node.encryption.private_key and node.encryption.existingSecret ({{ .existingSecret | quote }}) are both given; keep one of them.
{{- else if and .enabled (ne $.Values.server.protocol "poc") (not (or .private_key .existingSecret)) }}
node.encryption.enabled is true, but there is no private key; give its text in node.encryption.private_key, or in node.encryption.existingSecret the name of a Secret with the key private_key.pem.
{{- else if and .private_key (not .enabled) }}
node.encryption.private_key is given, but node.encryption.enabled is false; set it to true, or leave the key out.
{{- else if and .existingSecret (not .enabled) }}
node.encryption.existingSecret {{ .existingSecret | quote }} is given, but node.encryption.enabled is false; set it to true, or leave it out.
{{- else if and .private_key (not (regexMatch "^\\s*-----BEGIN (RSA )?PRIVATE KEY-----\\s[A-Za-z0-9+/=\\s]+-----END (RSA )?PRIVATE KEY-----\\s*$" .private_key)) }}
node.encryption.private_key is not the text of a private key in PEM without a password; give what the file contains (it begins with -----BEGIN), not its path.
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.variables" -}}
{{- range $name, $text := .Values.node.algorithm_env -}}
{{- if or (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name)) (eq $name "PKG_NAME") }}
node.algorithm_env: {{ $name | quote }} can't be a variable of an algorithm; use letters, digits and underscores, and not PKG_NAME, which belongs to the image.
{{- end -}}
{{- end -}}
{{- range $component := list "launcher" "proxy" -}}
{{- range $index, $variable := (get $.Values $component).extraEnv -}}
{{- if regexMatch "^(V6_NODE_.*|POD_NAME|POD_IPS|HOST_IPS)$" $variable.name }}
{{ $component }}.extraEnv[{{ $index }}].name {{ $variable.name | quote }} is set by the chart itself; choose another name, or leave it out.
{{- else if regexMatch "(?i)^(https?|wss?|all|no)_proxy$" $variable.name }}
{{ $component }}.extraEnv[{{ $index }}].name {{ $variable.name | quote }} would not open the way to an HTTP proxy; give its address in network.httpProxy.url instead.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels that NetworkPolicies and selectors go by are the chart's own: another value would open or lose a pod. */}}
{{- define "v6-node.faults.labels" -}}
{{- $pods := dict "launcher" .Values.launcher "proxy" .Values.proxy "jobs" .Values.jobs -}}
{{- $given := dict "commonLabels" .Values.commonLabels -}}
{{- range $name := list "podMonitor" "prometheusRule" "dashboard" }}{{ $_ := set $given (printf "monitoring.%s.labels" $name) (get $.Values.monitoring $name).labels }}{{ end -}}
{{- range $name, $settings := $pods }}{{ $_ := set $given (printf "%s.podLabels" $name) $settings.podLabels }}{{ end -}}
{{- range $key, $labels := $given -}}
{{- range $label, $text := $labels -}}
{{- if regexMatch "^(v6-node\\.vantage6\\.ai|app\\.kubernetes\\.io|helm\\.sh|batch\\.kubernetes\\.io)/" $label }}
{{ $key }}: label {{ $label | quote }} is set by the chart itself; choose a prefix of your own.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.proxyBudget" -}}
{{- with .Values.proxy -}}
{{- if and .podDisruptionBudget.enabled (ge (int .podDisruptionBudget.minAvailable) (int .replicas)) }}
proxy.podDisruptionBudget.minAvailable {{ int .podDisruptionBudget.minAvailable }} is not less than proxy.replicas {{ int .replicas }}, so no machine could be drained; raise proxy.replicas or lower it.
{{- end -}}
{{- end -}}
{{- end }}

{{/* The wildcard of other tools, which would keep the launcher from starting. */}}
{{- define "v6-node.faults.policies" -}}
{{- range $key := list "allowed_algorithms" "allowed_algorithm_stores" -}}
{{- $entries := get $.Values.node.policies $key -}}
{{- range ternary (list $entries) $entries (kindIs "string" $entries) -}}
{{- if regexMatch "^[*+?]" . }}
node.policies.{{ $key }}: {{ . | quote }} is no regular expression; write ^registry[.]example[.]org/trial/ for all below a path, or leave the list empty to allow all.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.templateNames" -}}
{{- range $name, $text := .Values.jobs.templates -}}
{{- if not (regexMatch "^[A-Za-z0-9][-._A-Za-z0-9]*\\.j2$" $name) }}
jobs.templates: {{ $name | quote }} is not the name of a template; use letters, digits, dots, dashes and underscores, and end it in .j2, for example job.yaml.j2.
{{- end -}}
{{- end -}}
{{- end }}

{{/* Kubernetes, or the launcher, would refuse each job only when it is made. */}}
{{- define "v6-node.faults.resources" -}}
{{- with .Values.jobs.priorityClassName -}}
{{- if hasPrefix "system-" . }}
jobs.priorityClassName {{ . | quote }} is for what the cluster lives on, which algorithms would drive out; name a PriorityClass of your own.
{{- end -}}
{{- end -}}
{{- $resources := .Values.jobs.resources -}}
{{- $limit := include "v6-node.bytes" (dig "limits" "memory" "" $resources | toString) -}}
{{- $request := include "v6-node.bytes" (dig "requests" "memory" "" $resources | toString) -}}
{{- if and $limit $request (lt (float64 $limit) (float64 $request)) }}
jobs.resources.limits.memory {{ $resources.limits.memory | quote }} is less than jobs.resources.requests.memory {{ $resources.requests.memory | quote }}; raise the limit or lower the request.
{{- end -}}
{{- end }}

{{/* With the scope that keeps launcher and proxy out, a quota counts pods and what they ask for, and nothing else. */}}
{{- define "v6-node.faults.quota" -}}
{{- $counted := list "pods" "cpu" "memory" "requests.cpu" "requests.memory" "limits.cpu" "limits.memory" -}}
{{- range $key, $most := .Values.jobs.quota -}}
{{- if not (or (has $key $counted) (regexMatch "^requests\\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$" $key)) }}
jobs.quota: {{ $key | quote }} can't be counted of algorithms alone; use {{ join ", " $counted }}, or requests. and a device, for example requests.nvidia.com/gpu.
{{- else if and (eq $key "limits.cpu") (not (dig "limits" "cpu" "" $.Values.jobs.resources)) }}
jobs.quota: "limits.cpu" would keep out every algorithm, as jobs.resources.limits.cpu gives them none; set that, or use requests.cpu.
{{- else if and (eq $key "pods") (not (regexMatch "^[0-9]+$" ($most | toString))) }}
jobs.quota.pods {{ $most | quote }} is no whole number; pods are counted.
{{- end -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.kueue" -}}
{{- if hasKey (.Values.jobs.podLabels | default dict) "kueue.x-k8s.io/queue-name" }}
jobs.podLabels: label "kueue.x-k8s.io/queue-name" belongs on Jobs, not on their pods; give the queue's name in jobs.kueue.queueName.
{{- end -}}
{{- end }}

{{/* The bytes of a memory quantity, or nothing if it is not one of the usual kind. */}}
{{- define "v6-node.bytes" -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" . -}}
{{- $unit := regexFind "(Ki|Mi|Gi|Ti|k|M|G|T)$" . -}}
{{- $factors := dict "" 1.0 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 -}}
{{- printf "%f" (mulf (trimSuffix $unit . | float64) (get $factors $unit)) -}}
{{- end -}}
{{- end }}

{{- define "v6-node.faults.isolation" -}}
{{- if lt (include "v6-node.seconds" .Values.isolation.recheckEvery | int) 60 }}
isolation.recheckEvery {{ .Values.isolation.recheckEvery | quote }} is less than a minute; a check takes some seconds and a pod, so choose 60s or more.
{{- end -}}
{{- end }}

{{/* What collects metrics is let in by its namespace: without one, nothing is. */}}
{{- define "v6-node.faults.monitoring" -}}
{{- with .Values.monitoring -}}
{{- if not .scraper.namespaceSelector -}}
{{- if .scraper.podSelector }}
monitoring.scraper.namespaceSelector is empty, but monitoring.scraper.podSelector is not; give the labels of the scraper's namespace too, for example {kubernetes.io/metadata.name: monitoring}.
{{- else if .podMonitor.enabled }}
monitoring.podMonitor.enabled is true, but nothing may collect metrics; set monitoring.scraper.namespaceSelector to the labels of Prometheus' namespace, for example {kubernetes.io/metadata.name: monitoring}.
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
