// An Express app that knows nothing of maintenance: nginx asks `maint serve` before each request
// (docs/endpoint.md). PORT=3000 node app.js
import express from "express";

const app = express();
app.disable("x-powered-by");
app.use(express.json());

const orders = [];

app.get("/", (request, response) => {
  response.type("text").send("The shop is open.\n");
});

app.get("/orders", (request, response) => {
  response.json(orders);
});

app.post("/orders", (request, response) => {
  orders.push(request.body ?? {});
  response.status(201).json({ number: orders.length });
});

// Behind nginx on the same machine, and reached by nobody else.
const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
