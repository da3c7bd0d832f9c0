import test from "ava";
import { parse } from "yaml";
import { type Conversion, writeCompose } from "../../manifests/convert/conversion.ts";
import { convertKubernetes } from "../../manifests/convert/kubernetes.ts";
import { convertQuadlet } from "../../manifests/convert/quadlet.ts";
import { errorsOf } from "./compile.ts";

/** What was written must be a Compose file that berth takes. */
async function compiled(conversion: Conversion): Promise<unknown> {
  const yaml = writeCompose(conversion);
  const errors = await errorsOf({ "app/compose.yaml": yaml });
  if (errors.length > 0) throw new Error(`${errors.join("\n")}\n${yaml}`);
  return parse(yaml);
}

test("a set of Quadlet files becomes one Compose file, and what is lost is named", async (t) => {
  const conversion = convertQuadlet([
    {
      name: "web.container",
      text: `# a comment
[Unit]
Description=The shop
After=db.service network-online.target redis.service
[Container]
Image=docker.io/library/nginx:1
Exec=nginx -g "daemon off;"
Environment=A=1 "B=two words" \\
  C=$HOME
PublishPort=127.0.0.1:8080:80
Volume=data.volume:/data:ro,z
Volume=/srv/site:/site
Network=back.network
AddCapability=NET_ADMIN SYS_TIME
User=1000
Group=7
ReadOnly=true
NoNewPrivileges=true
HealthCmd=curl -f http://localhost/
HealthInterval=5s
StopTimeout=20
Label=a=b
AutoUpdate=registry
Secret=db-password
PodmanArgs=--log-level=debug
[Service]
Restart=on-abnormal
TimeoutStartSec=900
[Install]
WantedBy=default.target
`,
    },
    {
      name: "db.container",
      text: "[Container]\nImage=docker.io/library/postgres:16\nNetwork=back.network\n",
    },
    { name: "data.volume", text: "[Volume]\nLabel=x=y\n" },
    { name: "back.network", text: "[Network]\nInternal=true\nDisableDNS=true\n" },
    { name: "all.pod", text: "[Pod]\n" },
  ]);
  t.deepEqual(await compiled(conversion), {
    services: {
      web: {
        command: 'nginx -g "daemon off;"',
        image: "docker.io/library/nginx:1",
        ports: ["127.0.0.1:8080:80"],
        cap_add: ["NET_ADMIN", "SYS_TIME"],
        environment: { A: "1", B: "two words", C: "$$HOME" },
        labels: { a: "b" },
        read_only: true,
        user: "1000:7",
        networks: ["back"],
        volumes: ["data:/data:ro", "/srv/site:/site"],
        security_opt: ["no-new-privileges:true"],
        stop_grace_period: "20s",
        healthcheck: { test: "curl -f http://localhost/", interval: "5s" },
        depends_on: ["db"],
        restart: "on-failure",
      },
      db: { image: "docker.io/library/postgres:16", networks: ["back"] },
    },
    volumes: { data: { labels: { x: "y" } } },
    networks: { back: { internal: true } },
  });
  t.deepEqual(conversion.notes, [
    "web.container: Volume: data.volume:/data:ro,z: the options z are not needed here",
    "web.container: After: redis.service is no container of this set",
    "web.container: Restart: on-abnormal: on-failure is the nearest there is",
    "web.container: AutoUpdate: registry: [Container] has no counterpart in Compose",
    "web.container: Secret: db-password: its content is in Podman's own store: encrypt it into the repository (berth secrets encrypt), and name the file under secrets",
    "web.container: PodmanArgs: --log-level=debug: [Container] has no counterpart in Compose",
    "web.container: TimeoutStartSec: 900: [Service] has no counterpart in Compose",
    "back.network: DisableDNS: true: Compose has nothing like it",
    "all.pod: only .container, .volume and .network files can be converted",
  ]);
});

test("a Deployment becomes services with configs, volumes and a healthcheck, and what is lost is named", async (t) => {
  const text = `
apiVersion: v1
kind: ConfigMap
metadata: { name: conf }
data: { app.conf: "listen 80\\n", LEVEL: info }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop, namespace: prod }
spec:
  replicas: 3
  strategy: { type: RollingUpdate }
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      serviceAccountName: shop
      terminationGracePeriodSeconds: 30
      initContainers:
        - { name: migrate, image: "shop:1", args: [migrate] }
      containers:
        - name: web
          image: shop:1
          command: [/bin/web]
          args: [--port, "80"]
          env:
            - { name: LEVEL, valueFrom: { configMapKeyRef: { name: conf, key: LEVEL } } }
            - { name: PW, valueFrom: { secretKeyRef: { name: db, key: pw } } }
          ports: [{ containerPort: 80 }]
          resources: { limits: { memory: 512Mi, cpu: 500m }, requests: { memory: 64Mi, cpu: 100m } }
          readinessProbe: { exec: { command: [cat, /ready] }, periodSeconds: 5 }
          securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
          volumeMounts:
            - { name: conf, mountPath: /etc/app }
            - { name: data, mountPath: /data }
            - { name: scratch, mountPath: /scratch }
            - { name: key, mountPath: /key }
      volumes:
        - { name: conf, configMap: { name: conf, items: [{ key: app.conf, path: app.conf }] } }
        - { name: data, persistentVolumeClaim: { claimName: shop-data } }
        - { name: scratch, emptyDir: { medium: Memory, sizeLimit: 16Mi } }
        - { name: key, secret: { secretName: key } }
---
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { ports: [{ port: 80 }] }
`;
  const conversion = convertKubernetes([{ name: "shop.yaml", text }]);
  t.deepEqual(await compiled(conversion), {
    services: {
      "shop-migrate": { image: "shop:1", command: ["migrate"], restart: "on-failure" },
      shop: {
        image: "shop:1",
        entrypoint: ["/bin/web"],
        command: ["--port", "80"],
        environment: { LEVEL: "info" },
        mem_limit: "536870912b",
        mem_reservation: "67108864b",
        cpus: "0.5",
        user: "1000",
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        healthcheck: { test: ["CMD", "cat", "/ready"], interval: "5s", timeout: "1s", retries: 3 },
        volumes: [
          "shop-data:/data",
          { type: "tmpfs", target: "/scratch", tmpfs: { size: "16777216b" } },
        ],
        configs: [{ source: "conf_app.conf", target: "/etc/app/app.conf" }],
        restart: "always",
        stop_grace_period: "30s",
        labels: { app: "shop" },
        scale: 3,
        depends_on: { "shop-migrate": { condition: "service_completed_successfully" } },
      },
    },
    volumes: { "shop-data": {} },
    configs: { "conf_app.conf": { content: "listen 80\n" } },
  });
  const lost = conversion.notes.join("\n");
  for (const word of [
    "strategy",
    "serviceAccountName",
    "secretKeyRef",
    "volumes[3].secret",
    "the volume key",
    "shop.yaml#shop.kind: Service",
  ])
    t.true(lost.includes(word), word);
  t.is(conversion.notes.length, 6, lost);
});

test("containers of one Pod share a network, and files that are no YAML are refused by name", async (t) => {
  const pod = `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {hostNetwork: false, containers: [
    {name: a, image: a, ports: [{containerPort: 80, hostPort: 8080, protocol: UDP}]}, {name: b, image: b, livenessProbe: {httpGet: {path: /}}}]}}`;
  const conversion = convertKubernetes([{ name: "p.yaml", text: pod }]);
  t.deepEqual(await compiled(conversion), {
    services: {
      "p-a": { image: "a", ports: ["8080:80/udp"], restart: "always" },
      "p-b": { image: "b", restart: "always", network_mode: "service:p-a" },
    },
  });
  t.deepEqual(conversion.notes, [
    "p.yaml#p.spec.containers[1].livenessProbe: probes over HTTP, TCP and gRPC are not carried over: write x-berth.probe with http or tcp",
  ]);
  t.throws(() => convertKubernetes([{ name: "x.yaml", text: "a: [" }]), {
    message: /cannot convert x\.yaml/,
  });
});
