{{- /* The name of everything: a DNS label that starts with a letter, though the release's may have dots and be all digits. */ -}}
{{- define "conclave.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := printf "%s-%s" $release $name -}}
{{- if contains $name $release -}}
{{- $full = $release -}}
{{- end -}}
{{- if regexMatch "^[0-9]" $full -}}
{{- $full = printf "r%s" $full -}}
{{- end -}}
{{- $full | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "conclave.selectorLabels" -}}
app.kubernetes.io/name: conclave-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "conclave.labels" -}}
{{ include "conclave.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: conclave
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- define "conclave.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "conclave.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "conclave.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- /* A number from a file of values has a fraction; toString would write 2e+07. */ -}}
{{- $tag := .Values.image.tag -}}
{{- if or (kindIs "float64" $tag) (kindIs "int64" $tag) -}}
{{- $tag = $tag | int64 | toString -}}
{{- end -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion $tag) -}}
{{- end -}}
{{- end -}}

{{- /* Where the first RaftCluster may be made, and that of the test is. */ -}}
{{- define "conclave.firstNamespace" -}}
{{- if .Values.watchNamespaces -}}
{{- first .Values.watchNamespaces -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- /* A list of Secrets by their names. */ -}}
{{- define "conclave.pullSecrets" -}}
{{- range $i, $name := .Values.image.pullSecrets }}
{{- if $i }}{{ "\n" }}{{ end -}}
- name: {{ $name | quote }}
{{- end }}
{{- end -}}

{{- /* What both containers of the test share. */ -}}
{{- define "conclave.testContainer" -}}
image: {{ include "conclave.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy | quote }}
env:
  - name: CONCLAVE_ENDPOINT
    value: {{ printf "http://%s:8400" .name | quote }}
resources:
  requests:
    cpu: 10m
    memory: 16Mi
  limits:
    memory: 64Mi
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: ["ALL"]
{{- end -}}
