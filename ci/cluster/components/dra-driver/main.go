// Command dra-driver offers two GPUs that there are none of, as a vendor's
// driver for Dynamic Resource Allocation offers real ones: it tells the API
// server which there are, and the container whose claim is met by one gets a
// device node and a variable for it.
//
//	dra-driver KUBECONFIG MACHINE
//
// It runs beside the kubelet of the machine, and may use its kubeconfig. The
// container runtime puts the device into the container, by its specification
// in CDI's own folder (https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md).
package main

import (
	"context"
	"encoding/json"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"

	resource "k8s.io/api/resource/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	"k8s.io/dynamic-resource-allocation/resourceslice"
)

const (
	driver        = "gpu.v6-node.test"
	kind          = "v6-node.test/gpu" // as CDI names it
	variable      = "V6_NODE_VISIBLE_DEVICES"
	specification = "/var/run/cdi/v6-node.json"
)

// memory of each GPU, by which claims can choose.
var memory = map[string]string{"gpu0": "16Gi", "gpu1": "80Gi"}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: dra-driver KUBECONFIG MACHINE")
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
	select {}
}

// serve tells the container runtime, kubelet and the API server of the GPUs,
// and answers kubelet in the background.
func serve(kubeconfig, machine string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := specify(); err != nil {
		return err
	}
	for _, folder := range []string{kubeletplugin.KubeletRegistryDir, filepath.Join(kubeletplugin.KubeletPluginsDir, driver)} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return err
		}
	}
	helper, err := kubeletplugin.Start(
		context.Background(), plugin{},
		kubeletplugin.DriverName(driver), kubeletplugin.NodeName(machine), kubeletplugin.KubeClient(client),
	)
	if err != nil {
		return err
	}
	pool := resourceslice.Pool{Slices: []resourceslice.Slice{{Devices: devices()}}}
	return helper.PublishResources(
		context.Background(), resourceslice.DriverResources{Pools: map[string]resourceslice.Pool{machine: pool}},
	)
}

// devices is what the API server is told.
func devices() []resource.Device {
	var all []resource.Device
	for _, gpu := range slices.Sorted(maps.Keys(memory)) {
		capacity := resource.DeviceCapacity{Value: quantity.MustParse(memory[gpu])}
		all = append(all, resource.Device{
			Name:     gpu,
			Capacity: map[resource.QualifiedName]resource.DeviceCapacity{"memory": capacity},
		})
	}
	return all
}

// specify says what a container gets with each GPU: a node that is /dev/null
// by another name, and a variable.
func specify() error {
	type object map[string]any
	var all []object
	for gpu := range memory {
		edits := object{
			"env":         []string{variable + "=" + gpu},
			"deviceNodes": []object{{"path": "/dev/" + gpu, "hostPath": "/dev/null"}},
		}
		all = append(all, object{"name": gpu, "containerEdits": edits})
	}
	text, err := json.Marshal(object{"cdiVersion": "0.6.0", "kind": kind, "devices": all})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(specification), 0o755); err != nil {
		return err
	}
	return os.WriteFile(specification, text, 0o644)
}

// plugin answers kubelet.
type plugin struct{}

// PrepareResourceClaims has nothing to prepare: it names the devices that the
// scheduler chose, as the container runtime knows them.
func (plugin) PrepareResourceClaims(
	_ context.Context, claims []*resource.ResourceClaim,
) (map[types.UID]kubeletplugin.PrepareResult, error) {
	results := map[types.UID]kubeletplugin.PrepareResult{}
	for _, claim := range claims {
		var given []kubeletplugin.Device
		for _, chosen := range claim.Status.Allocation.Devices.Results {
			if chosen.Driver == driver {
				given = append(given, kubeletplugin.Device{
					Requests:     []string{chosen.Request},
					PoolName:     chosen.Pool,
					DeviceName:   chosen.Device,
					CDIDeviceIDs: []string{kind + "=" + chosen.Device},
				})
			}
		}
		results[claim.UID] = kubeletplugin.PrepareResult{Devices: given}
	}
	return results, nil
}

func (plugin) UnprepareResourceClaims(
	_ context.Context, claims []kubeletplugin.NamespacedObject,
) (map[types.UID]error, error) {
	results := map[types.UID]error{}
	for _, claim := range claims {
		results[claim.UID] = nil
	}
	return results, nil
}

// HandleError hears of what failed in the background, such as a machine that
// the API server does not know yet; it is tried again.
func (plugin) HandleError(_ context.Context, err error, what string) {
	log.Printf("%s: %v", what, err)
}
