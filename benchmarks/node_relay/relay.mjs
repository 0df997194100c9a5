// A plain relay on `ws`, without compression: `node relay.mjs CSMS_PORT`, prints its port.
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const csmsPort = Number(process.argv[2]);
const server = createServer();
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  handleProtocols: () => "ocpp1.6",
});

function pass(from, to) {
  from.on("message", (data, binary) => to.send(data, { binary }));
  from.on("close", () => to.close());
  from.on("error", () => to.terminate());
}

server.on("upgrade", (request, socket, head) => {
  const identity = request.url.slice(request.url.lastIndexOf("/") + 1);
  const upstream = new WebSocket(`ws://127.0.0.1:${csmsPort}/csms/${identity}`, "ocpp1.6", { perMessageDeflate: false });
  upstream.on("error", () => socket.destroy());
  upstream.on("open", () =>
    sockets.handleUpgrade(request, socket, head, (charger) => {
      pass(charger, upstream);
      pass(upstream, charger);
    }),
  );
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log(server.address().port));
