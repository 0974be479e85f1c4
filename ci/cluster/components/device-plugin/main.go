// Command device-plugin offers devices that there are none of, as a vendor's
// plugin offers real ones: kubelet counts them, the scheduler places pods by
// them, and a container that is allocated some gets a device node, a variable
// and a mount for it.
//
//	device-plugin NAME=COUNT...
//
// where NAME is that of a resource, for example nvidia.com/gpu. It has to see
// kubelet's folder of plugins at the path that kubelet has it at.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// plugin is one resource; what is not overridden is optional in kubelet's
// protocol (https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/).
type plugin struct {
	api.UnimplementedDevicePluginServer
	resource string
	kind     string // "gpu" of nvidia.com/gpu
	variable string // NVIDIA_VISIBLE_DEVICES
	count    int
	driver   string // a folder of the machine's, mounted into each container
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: device-plugin NAME=COUNT...")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ended := make(chan error)
	for _, argument := range os.Args[1:] {
		made, err := parse(argument)
		if err != nil {
			log.Fatal(err)
		}
		defer made.leave()
		go func() { ended <- made.serve() }()
	}
	select {
	case err := <-ended:
		log.Print(err)
	case <-signals:
	}
}

func parse(argument string) (*plugin, error) {
	resource, number, _ := strings.Cut(argument, "=")
	domain, kind, named := strings.Cut(resource, "/")
	count, err := strconv.Atoi(number)
	if err != nil || !named || count < 0 {
		return nil, fmt.Errorf("%q is not NAME=COUNT, like nvidia.com/gpu=2", argument)
	}
	vendor, _, _ := strings.Cut(domain, ".")
	variable := strings.ToUpper(vendor) + "_VISIBLE_DEVICES"
	driver := filepath.Join(api.DevicePluginPath, "v6-node-"+vendor+"-"+kind)
	return &plugin{resource: resource, kind: kind, variable: variable, count: count, driver: driver}, nil
}

// serve registers with kubelet and answers it until something fails.
func (p *plugin) serve() error {
	if err := os.MkdirAll(p.driver, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.driver, "version"), []byte(p.resource+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Remove(p.socket()); err != nil && !os.IsNotExist(err) {
		return err // of a predecessor that was killed
	}
	listener, err := net.Listen("unix", p.socket())
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	if err := p.register(); err != nil {
		return err
	}
	log.Printf("%s: kubelet knows of %d", p.resource, p.count)
	return <-ended
}

func (p *plugin) socket() string { return p.driver + ".sock" }

// leave removes what serve made; kubelet then counts none of the devices.
func (p *plugin) leave() {
	os.Remove(p.socket())
	os.RemoveAll(p.driver)
}

func (p *plugin) register() error {
	kubelet, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer kubelet.Close()
	socket := filepath.Base(p.socket())
	request := &api.RegisterRequest{Version: api.Version, Endpoint: socket, ResourceName: p.resource}
	_, err = api.NewRegistrationClient(kubelet).Register(context.Background(), request)
	return err
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch tells of the devices once: they stay healthy.
func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	devices := make([]*api.Device, p.count)
	for number := range devices {
		devices[number] = &api.Device{ID: fmt.Sprintf("%s%d", p.kind, number), Health: api.Healthy}
	}
	if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Allocate says what a container gets with the devices that kubelet chose: for
// each a node that is /dev/null by another name.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		given := &api.ContainerAllocateResponse{
			Envs:   map[string]string{p.variable: strings.Join(container.DevicesIds, ",")},
			Mounts: []*api.Mount{{ContainerPath: "/opt/driver", HostPath: p.driver, ReadOnly: true}},
		}
		for _, id := range container.DevicesIds {
			node := &api.DeviceSpec{ContainerPath: "/dev/" + id, HostPath: "/dev/null", Permissions: "rw"}
			given.Devices = append(given.Devices, node)
		}
		response.ContainerResponses = append(response.ContainerResponses, given)
	}
	return response, nil
}
